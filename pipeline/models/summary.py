"""Summarize a network: shapes, parameters, multiply-accumulates, bytes of its int8 weights."""

import math
from dataclasses import dataclass

import keras
from keras import layers

INT8_BYTES, BIAS_BYTES = 1, 4


@dataclass(frozen=True)
class LayerSummary:
    """One row of the layer table.

    Attributes:
        name: the layer's class.
        output_shape: without the batch axis.
        parameters: kernel and bias elements.
        multiply_accumulates: for one image, without biases.
        int8_bytes: size of the weights with int8 kernels and int32 biases.
    """

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_accumulates: int
    int8_bytes: int


def summarize(model: keras.Model) -> list[LayerSummary]:
    """Summarize each layer of a deployed network, for one image."""
    return [_summarize_layer(layer) for layer in model.layers if not isinstance(layer, layers.InputLayer)]


def _summarize_layer(layer: keras.layers.Layer) -> LayerSummary:
    shape = tuple(int(extent) for extent in layer.output.shape[1:])
    if not isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
        return LayerSummary(type(layer).__name__, shape, layer.count_params(), 0, 0)
    kernel = math.prod(layer.kernel.shape)
    parameters = layer.count_params()
    int8_bytes = kernel * INT8_BYTES + (parameters - kernel) * BIAS_BYTES
    return LayerSummary(type(layer).__name__, shape, parameters, kernel * math.prod(shape[:-1]), int8_bytes)


def format_summary(rows: list[LayerSummary]) -> str:
    """Format the layers as a text table with a line of totals."""
    lines = [f"{'layer':<24}{'output':>12}{'parameters':>13}{'mult-adds':>14}{'int8 bytes':>13}"]
    for row in rows:
        shape = "x".join(map(str, row.output_shape))
        lines.append(
            f"{row.name:<24}{shape:>12}{row.parameters:>13,}{row.multiply_accumulates:>14,}{row.int8_bytes:>13,}"
        )
    totals = [
        sum(getattr(row, field) for row in rows) for field in ("parameters", "multiply_accumulates", "int8_bytes")
    ]
    lines.append(f"{'total':<36}{totals[0]:>13,}{totals[1]:>14,}{totals[2]:>13,}")
    return "\n".join(lines)
