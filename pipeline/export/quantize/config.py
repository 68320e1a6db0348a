"""The quantization config: how a network is quantized to int8. The search tries configs; the manifest stores them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.documents.manifest import ConfigEntry
from pipeline.export.quantize.layer import Layer
from runtime.text import plural

MIN_MAX = "min-max"
LEARNED = "learned in training"
"""Method: the ranges of quantization-aware training; minimum and maximum for tensors without such a range."""
METHODS = (
    MIN_MAX,
    "moving average",
    "percentile 99.9",
    "percentile 99.99",
    "percentile 99.999",
    "entropy",
)


@dataclass(frozen=True)
class QuantConfig:
    """The settings of a quantization.

    Attributes:
        method: how the range of an activation tensor is computed: one of ``METHODS``, or ``LEARNED``.
        images: number of calibration images from which the ranges are computed, 1 or more.
        per_channel: weights have one scale per output channel, not one per tensor.
        float_softmax: the final softmax computes in float; in int8, probabilities below 1/256 would be lost.
        float_head: the last layer before the softmax computes in float, so that logits are not rounded.
        symmetric: activation ranges are symmetric about zero.
        qoperator: the graph has quantized operators (QOperator), not float operators between QuantizeLinear and
            DequantizeLinear (QDQ), which the engine fuses. ONNX only.
        reduce_range: weights have 7 bits. x86 processors without VNNI add pairs of 8-bit products in 16 bits, which can
            overflow; with 7-bit weights it cannot. ONNX only.
        bias_correction: biases compensate for the mean error of rounded weights; see the module ``bias_correction``.
        float_layers: layers that stay in float, by the names of their outputs.
        ends_in: ``softmax`` or ``sigmoids``, the last operator, to which ``float_softmax`` applies.

    Raises:
        ValueError: the method is unknown or ``images`` is below 1.
    """

    method: str = MIN_MAX
    images: int = 500
    per_channel: bool = True
    float_softmax: bool = True
    float_head: bool = False
    symmetric: bool = False
    qoperator: bool = False
    reduce_range: bool = False
    bias_correction: bool = False
    float_layers: tuple[str, ...] = ()
    ends_in: str = "softmax"

    def __post_init__(self) -> None:
        if self.method not in {*METHODS, LEARNED}:
            raise ValueError(f"method must be one of {', '.join((*METHODS, LEARNED))}, got {self.method!r}")
        if self.images < 1:
            raise ValueError(f"need at least one calibration image, got {self.images}")

    def in_float(self, layers: Sequence[Layer]) -> list[Layer]:
        """Return the layers that this config leaves in float; ``layers`` are all of the network's, in order."""
        named = [layer for layer in layers if layer.output in self.float_layers]
        head = layers[-1:] if self.float_head else ()
        return [*named, *(layer for layer in head if layer not in named)]

    def flipped(self, name: str) -> "QuantConfig":
        """Return a copy of this config with the boolean field ``name`` inverted."""
        change: dict[str, Any] = {name: not getattr(self, name)}
        return replace(self, **change)

    def entry(self) -> ConfigEntry:
        """Return the config in the form that the manifest stores."""
        return ConfigEntry(**asdict(self))

    def __str__(self) -> str:
        chosen = f"ranges {LEARNED}" if self.method == LEARNED else f"{self.method}, {plural(self.images, 'image')}"
        parts = [chosen, "per channel" if self.per_channel else "per tensor"]
        last = f"{'float' if self.float_softmax else 'int8'} {self.ends_in}"
        head = f"float last layer and {self.ends_in}" if self.float_softmax else f"float last layer, {last}"
        parts.append(head if self.float_head else last)
        parts += ["symmetric"] * self.symmetric + ["QOperator"] * self.qoperator
        parts += ["7-bit weights"] * self.reduce_range
        parts += ["corrected biases"] * self.bias_correction
        if self.float_layers:
            parts.append(f"{plural(len(self.float_layers), 'layer')} in float")
        return ", ".join(parts)
