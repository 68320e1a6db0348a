"""Measure adaptive rounding of weights for ``docs/quantization.md``: is a layer's best rounding the nearest one?

Each weight is rounded in turn, and the weights not yet rounded make up for its error as well as they can. This
minimizes the error of the layer's outputs on the calibration images in float (E. Frantar et al., *GPTQ*, 2023). Scales
and activations are quantized as in every export, so only the weights of the int8 file differ.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import numpy_helper

from docs.figures.documents import replace_marked
from docs.figures.large_int8 import USUAL_SIDE, network, read_photos, with_interval
from pipeline import artifacts
from pipeline.export.quantize.channels import HIGHEST, channel_scales
from pipeline.text import table
from runtime.benchmark.environment import describe_device

FIGURES = Path("docs/rounding.json")
DOCUMENT = Path("docs/quantization.md")
IMAGES, PLACES = 100, 196
"""Calibration images that the layers are fitted to, and places of each at most."""
DAMPING = 0.01
"""Added to the inputs' second moments, as a share of their mean."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """The weights of a layer as rows, one per output channel, and the inputs that they are multiplied with.

    Attributes:
        node: of the graph.
        rows: float32 (O, I).
        depthwise: each row has inputs of its own.
    """

    node: onnx.NodeProto
    rows: NDArray[np.float32]
    depthwise: bool

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the node."""
        return {entry.name: onnx.helper.get_attribute_value(entry) for entry in self.node.attribute}

    def inputs(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inputs for one image at some places: (O, P, I) if depthwise, else (1, P, I)."""
        if values.ndim == 2:
            return values[np.newaxis]
        size = self.attributes["kernel_shape"]
        top, left, bottom, right = self.attributes.get("pads", [0] * 4)
        down, across = self.attributes.get("strides", [1, 1])
        padded = np.pad(values[0], ((0, 0), (top, bottom), (left, right)))
        windows = sliding_window_view(padded, size, axis=(1, 2))[:, ::down, ::across]
        height, width = windows.shape[1:3]
        places = np.random.default_rng(0).permutation(height * width)[:PLACES]
        chosen = windows[:, places // width, places % width].reshape(len(padded), len(places), -1)
        return chosen if self.depthwise else chosen.transpose(1, 0, 2).reshape(1, len(places), -1)


def rounded(rows: NDArray[np.float32], scales: NDArray[np.float32], moments: Array, highest: int = HIGHEST) -> Array:
    """Round weights (O, I) to integers, given the second moments of their inputs, (I, I).

    Weights at the ends of the scale, ``highest`` steps from zero, stay there, because they define the scale.
    """
    count = len(moments)
    order = np.argsort(-np.diag(moments))
    damped = moments[np.ix_(order, order)] + DAMPING * np.trace(moments) / count * np.eye(count) + 1e-12 * np.eye(count)
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    scale, rest = scales.astype(np.float64), rows[:, order].astype(np.float64)
    nearest = np.rint(rest / scale[:, np.newaxis])
    steps = np.empty_like(rest)
    for column in range(count):
        own = np.rint(rest[:, column] / scale).clip(-highest, highest)
        steps[:, column] = np.where(np.abs(nearest[:, column]) == highest, nearest[:, column], own)
        error = (rest[:, column] - steps[:, column] * scale) / upper[column, column]
        rest[:, column + 1 :] -= np.outer(error, upper[column, column + 1 :])
    return steps[:, np.argsort(order)]


def layers_of(graph: onnx.GraphProto) -> list[Weights]:
    """Find the convolutions of one group, the depthwise ones and the dense layers of a graph."""
    constants = {constant.name: constant for constant in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in constants:
            continue
        values = numpy_helper.to_array(constants[node.input[1]])
        if node.op_type == "Gemm":
            found.append(Weights(node, values if _transposed(node) else values.T, depthwise=False))
            continue
        groups = next((entry.i for entry in node.attribute if entry.name == "group"), 1)
        if groups in (1, len(values)) and "_grouped" not in node.input[0]:
            found.append(Weights(node, values.reshape(len(values), -1), depthwise=groups > 1))
    return found


def adapted(graph: onnx.ModelProto, layers: list[Weights], moments: dict[str, tuple[Array, Array]]) -> onnx.ModelProto:
    """Build the graph with adaptively rounded weights, and biases that make up for their mean error."""
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    constants = {constant.name: constant for constant in copy.graph.initializer}
    for layer in layers:
        second, mean = moments[layer.node.name]
        scales = channel_scales(layer.rows, 0, 2 * HIGHEST)
        groups = [slice(row, row + 1) for row in range(len(layer.rows))] if layer.depthwise else [slice(None)]
        steps = np.concatenate(
            [rounded(layer.rows[own], scales[own], second[place]) for place, own in enumerate(groups)]
        )
        rows = steps * scales[:, np.newaxis]
        shift = ((rows - layer.rows) * mean).sum(axis=1)
        weight, bias = (constants[name] for name in layer.node.input[1:3])
        turned = rows.T if layer.node.op_type == "Gemm" and not _transposed(layer.node) else rows
        _replace(weight, turned.reshape(tuple(weight.dims)))
        _replace(bias, numpy_helper.to_array(bias) - shift)
    return copy


def measure(folder: Path) -> dict[str, Any]:
    """Quantize EfficientNet-Lite0 with each rounding by one half of the photos, and compare on the other half."""
    from pipeline.export import onnx as onnx_file
    from pipeline.export.formats import load_bytes
    from pipeline.export.load.deployable import Deployable
    from pipeline.export.load.scaling import PixelScaling
    from pipeline.export.quantize.answers import predict_all
    from pipeline.export.quantize.config import QuantConfig
    from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
    from pipeline.metrics.classification import accuracy, agreement
    from pipeline.metrics.difference import mean_difference
    from runtime.spec import ModelSpec

    pixels, labels, names = read_photos(folder, USUAL_SIDE)
    calibration, images, truth = pixels[::2], pixels[1::2], labels[1::2]
    deployable = Deployable(network(USUAL_SIDE), names, PixelScaling.of(scale=(1.0,)))
    expected = deployable.probabilities(images)
    prepared = deployable.for_int8
    quantizer = OnnxQuantizer(onnx_file.convert(prepared), prepared.network_scaling, calibration, (len(calibration),))
    spec, rows = ModelSpec(USUAL_SIDE, names, "int8"), []

    def judge(variant: str, config: QuantConfig) -> None:
        got = predict_all(load_bytes, onnx_file.with_metadata(quantizer.build(config), spec), images)
        rows.append(
            {
                "rounding": variant,
                "accuracy": accuracy(got, truth),
                "agreement": agreement(got, expected),
                "mean_difference": mean_difference(got, expected),
            }
        )

    config = QuantConfig(images=len(calibration))
    judge("nearest", config)
    judge("nearest, corrected biases", config.flipped("bias_correction"))
    graph = quantizer._network  # noqa: SLF001 - the float graph, whose ranges are known
    layers = layers_of(graph.graph)
    quantizer._network = adapted(graph, layers, _moments(quantizer, layers, calibration))  # noqa: SLF001 - the same
    judge("adaptive, corrected biases", config)
    keras = accuracy(expected, truth)
    return {"cpu": describe_device().cpu, "images": len(images), "keras": keras, "rows": rows}


def publish(report: dict[str, Any], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the report to ``path`` and the table between its markers in ``document``."""
    artifacts.write_json(path, report)
    replace_marked(document, "rounding", tables(report))


def tables(report: dict[str, Any]) -> str:
    """Build the table."""
    lines = [
        [
            row["rounding"],
            with_interval(row["accuracy"], report["images"]),
            f"{row['agreement']:.1%}",
            f"{row['mean_difference']:.1e}",
        ]
        for row in report["rows"]
    ]
    header = ["rounding of weights", "accuracy (95 %)", "agreement", "mean difference"]
    keras = with_interval(report["keras"], report["images"])
    return f"{table(header, lines)}\n\nKeras: {keras} of {report['images']} photos. {report['cpu']}."


def _moments(quantizer: Any, layers: list[Weights], pixels: NDArray[np.uint8]) -> dict[str, tuple[Array, Array]]:
    """Compute second moments (G, I, I) and means (G, I) of each layer's inputs, of one or as many groups as outputs."""
    chosen = pixels[:: max(len(pixels) // IMAGES, 1)]

    def reduce(activations: Any) -> dict[str, tuple[Array, Array]]:
        found = {}
        for layer in layers:
            inputs = layer.inputs(activations[layer.node.input[0]])
            second = np.matmul(inputs.transpose(0, 2, 1), inputs) / inputs.shape[1]
            found[layer.node.name] = (second.astype(np.float64), inputs.mean(axis=1).astype(np.float64))
        return found

    sums: dict[str, tuple[Array, Array]] = {}
    for batch in quantizer._float_activations(chosen, reduce):  # noqa: SLF001 - as calibration has them
        for name, (second, mean) in batch.items():
            before = sums.get(name, (0.0, 0.0))
            sums[name] = (before[0] + second / len(chosen), before[1] + mean / len(chosen))
    return sums


def _transposed(node: onnx.NodeProto) -> bool:
    return any(entry.name == "transB" and entry.i for entry in node.attribute)


def _replace(constant: onnx.TensorProto, values: Array) -> None:
    constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), constant.name))
