"""What quantization-aware training leaves for the exporters; a part of ``history.json``."""

from dataclasses import dataclass

from pipeline.documents.base import Entry, PositiveCount, Share

LARGEST, LARGEST_REDUCED = 127, 64
"""The largest weight in steps: in 8 bits, and in the 7 bits of ``QuantConfig.reduce_range``."""


@dataclass(frozen=True)
class Scheme:
    """How weights are rounded.

    Attributes:
        per_channel: one scale an output channel, rather than one a tensor.
        reduce_range: 7 bits rather than 8.
    """

    per_channel: bool = True
    reduce_range: bool = False

    @property
    def largest(self) -> int:
        """The largest weight, in steps."""
        return LARGEST_REDUCED if self.reduce_range else LARGEST


class QuantizeAware(Entry):
    """How the network was rounded while it learned; export rounds it in the same way and searches no other.

    Attributes:
        per_channel: weights had one scale an output channel, rather than one a tensor.
        reduce_range: weights had 7 bits rather than 8.
        epochs: passes over the training images.
        accuracy: of the network as int8 computes it, on the validation images, before it was exported.
        images: how many these are.
        float_accuracy: of the same network in float.
        before: accuracy of the network in float before this training.
        ranges: lowest and highest value of each point (``pipeline.export.quantize.simulation``).
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
        """How weights were rounded."""
        return Scheme(self.per_channel, self.reduce_range)
