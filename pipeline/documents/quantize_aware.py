"""The results of quantization-aware training that the exporters need; a part of ``history.json``."""

from dataclasses import dataclass

from pipeline.documents.base import Entry, PositiveCount, Share

LARGEST, LARGEST_REDUCED = 127, 64
"""The largest quantized weight: in 8 bits, and in the 7 bits of ``QuantConfig.reduce_range``."""


@dataclass(frozen=True)
class Scheme:
    """The quantization of weights.

    Attributes:
        per_channel: one scale per output channel instead of one per tensor.
        reduce_range: 7 bits instead of 8.
    """

    per_channel: bool = True
    reduce_range: bool = False

    @property
    def largest(self) -> int:
        """The largest quantized weight."""
        return LARGEST_REDUCED if self.reduce_range else LARGEST


class QuantizeAware(Entry):
    """The network's quantization in training; export uses the same and does not search.

    Attributes:
        per_channel: weights had one scale per output channel instead of one per tensor.
        reduce_range: weights had 7 bits instead of 8.
        epochs: passes over the training images.
        accuracy: of the network with simulated int8, on the validation images, 0-1.
        images: number of validation images.
        float_accuracy: of the same network in float.
        before: accuracy of the network in float before this training.
        ranges: lowest and highest value at each quantization point (``pipeline.export.quantize.simulation``).
    """

    per_channel: bool = True
    reduce_range: bool = False
    epochs: PositiveCount
    accuracy: Share
    images: PositiveCount
    float_accuracy: Share
    before: Share
    ranges: dict[str, tuple[float, float]]

    @property
    def scheme(self) -> Scheme:
        """The quantization of the weights."""
        return Scheme(self.per_channel, self.reduce_range)
