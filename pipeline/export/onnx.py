"""Keras -> ONNX: uint8 pixels in, float32 probabilities out, dynamic batch."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from pipeline.export import rewrites
from pipeline.export.deployable import Deployable
from pipeline.export.freeze import IMAGE, OUTPUT, freeze
from pipeline.export.scaling import PixelScaling
from pipeline.quiet import log_hidden
from runtime.backends.seal import seal
from runtime.golden import GOLDEN_KEY, GoldenSet
from runtime.spec import SPEC_KEY, ModelSpec

OPSET = 17
CLEANING = (
    rewrites.pool_spatial_reductions,
    rewrites.fold_constants_and_normalisation,
    rewrites.merge_reshapes,
    rewrites.fuse_hard_sigmoids,
    rewrites.fuse_hard_swishes,
    rewrites.pad_inside_pools,
    rewrites.free_batch,
)
"""In this order: one makes room for the next, and the batch is fixed as long as shapes are asked for."""

GROUP = 4
"""Pixels a group in the int8 graph; of 1, 2, 4 and 8 the fastest on the network of the notes."""

QUANTIZED_OPERATORS = ["Conv", "Relu", "MaxPool", "Transpose", "Reshape", "MatMul", "Gemm", "Add"]
"""All but softmax: its output in 8 bits would cost probabilities below 1/255 and saves no time."""


def convert(deployable: Deployable) -> onnx.ModelProto:
    """The network as a clean graph: ``image`` float32 (N, S, S, 3), scaled, to probabilities float32 (N, C)."""
    network = freeze(deployable.trace, deployable.side, tf.float32, rewrites.TRACED_BATCH)
    # Of tf2onnx only the translation: its from_keras does not know Keras 3, its optimisers are slow on large models,
    # and ONNX Runtime folds the same.
    with log_hidden(), tf.Graph().as_default() as graph:
        tf.import_graph_def(network.graph.as_graph_def(), name="")
        translated = tf2onnx.tfonnx.process_tf_graph(
            graph,
            input_names=[f"{IMAGE}:0"],
            output_names=[f"{OUTPUT}:0"],
            tensors_to_rename={f"{IMAGE}:0": IMAGE, f"{OUTPUT}:0": OUTPUT},
            opset=OPSET,
        )
    model: onnx.ModelProto = translated.make_model("edgecnn")
    for rewrite in CLEANING:
        rewrite(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def fp32(network: onnx.ModelProto, scaling: PixelScaling) -> onnx.ModelProto:
    """The deployable fp32 graph, scaling included."""
    graph = _copy(network)
    rewrites.scale_pixels(graph, scaling)
    onnx.checker.check_model(graph, full_check=True)
    return graph


class _ImageReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pixels: NDArray[np.uint8], scaling: PixelScaling) -> None:
        self._images: Iterator[NDArray[np.float32]] = (scaling(image[np.newaxis]) for image in pixels)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._images, None)
        return None if image is None else {rewrites.IMAGE: image}


def quantize(network: onnx.ModelProto, scaling: PixelScaling, calibration_pixels: NDArray[np.uint8]) -> onnx.ModelProto:
    """The deployable int8 graph: static, QDQ, weights per channel.

    Args:
        network: what ``convert`` returned.
        scaling: from pixels to the network's input. The input's range is pinned to what it makes of 0 and 255, so
            that the pixels are the quantised input wherever their zero point is a whole number.
        calibration_pixels: uint8 (N, S, S, 3); their activations' minima and maxima become the ranges.
    """
    graph = _copy(network)
    rewrites.group_pixels(graph, GROUP)
    extremes = scaling(np.array([[0] * 3, [255] * 3], np.uint8))
    with tempfile.TemporaryDirectory() as folder, log_hidden():
        path = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            path,
            _ImageReader(calibration_pixels, scaling),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED_OPERATORS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={
                "ForceQuantizeNoInputCheck": True,
                "TensorQuantOverrides": {rewrites.IMAGE: [{"rmin": extremes.min(), "rmax": extremes.max()}]},
            },
        )
        quantized = onnx.load(path)
    if rewrites.pixel_zero_point(scaling) is None:
        rewrites.scale_pixels(quantized, scaling)
    else:
        rewrites.take_pixels_as_quantized(quantized, scaling)
    onnx.checker.check_model(quantized, full_check=True)
    return quantized


def with_metadata(graph: onnx.ModelProto, spec: ModelSpec, golden: GoldenSet | None = None) -> bytes:
    """The file's bytes, sealed, with the spec and the golden set in its metadata."""
    carrying = _copy(graph)
    entries = {SPEC_KEY: spec.to_json()} | ({GOLDEN_KEY: golden.to_json()} if golden else {})
    onnx.helper.set_model_props(carrying, entries)
    return seal(carrying.SerializeToString(deterministic=True))


def _copy(graph: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy
