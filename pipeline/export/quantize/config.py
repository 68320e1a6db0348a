"""How a network becomes int8: one frozen value, tried by the search and written into the manifest."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.documents.manifest import ConfigEntry
from pipeline.export.quantize.layer import Layer

MIN_MAX = "min-max"
LEARNED = "learned in training"
"""Ranges of quantization-aware training; minimum and maximum where it has none."""
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
    """One way to quantize.

    Attributes:
        method: how a tensor's range is read off its activations, one of ``METHODS``, or ``LEARNED``.
        images: how many calibration images fix the ranges.
        per_channel: one scale an output channel of each weight, rather than one a tensor.
        float_softmax: the softmax at the end computes in float; in 8 bits it loses what lies below 1/256.
        float_head: the last layer before the softmax computes in float, so that no logit is rounded.
        symmetric: activation ranges centered on zero.
        qoperator: quantized operators in the graph, rather than float ones between quantize and dequantize nodes
            (QDQ), which the engine fuses. ONNX alone knows both.
        reduce_range: weights in 7 bits. x86 processors without VNNI add pairs of 8-bit products in 16 bits, which can
            overflow; 7 bits cannot. ONNX alone.
        bias_correction: biases make up for what rounded weights add on average (``bias_correction``).
        float_layers: layers that stay float, by the names of their outputs.
        ends_in: what the network computes last, which ``float_softmax`` is about: softmax or sigmoids.
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
        """Those of a network's layers, in the data's order, that this config leaves in float."""
        named = [layer for layer in layers if layer.output in self.float_layers]
        head = layers[-1:] if self.float_head else ()
        return [*named, *(layer for layer in head if layer not in named)]

    def flipped(self, name: str) -> "QuantConfig":
        """The same config with one of its yes-or-no fields the other way."""
        change: dict[str, Any] = {name: not getattr(self, name)}
        return replace(self, **change)

    def entry(self) -> ConfigEntry:
        """For the manifest."""
        return ConfigEntry(**asdict(self))

    def __str__(self) -> str:
        chosen = f"ranges {LEARNED}" if self.method == LEARNED else f"{self.method}, {self.images:,} images"
        parts = [chosen, "per channel" if self.per_channel else "per tensor"]
        last = f"{'float' if self.float_softmax else 'int8'} {self.ends_in}"
        head = f"float head and {self.ends_in}" if self.float_softmax else f"float head, {last}"
        parts.append(head if self.float_head else last)
        parts += ["symmetric"] * self.symmetric + ["QOperator"] * self.qoperator
        parts += ["7-bit weights"] * self.reduce_range
        parts += ["corrected biases"] * self.bias_correction
        if self.float_layers:
            parts.append(f"{len(self.float_layers)} layer{'s' * (len(self.float_layers) > 1)} in float")
        return ", ".join(parts)
