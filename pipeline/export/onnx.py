"""Keras -> ONNX: uint8 pixels in, float32 probabilities out, dynamic batch."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from pipeline.quiet import log_hidden
from runtime.spec import SPEC_KEY, ModelSpec

OPSET = 17
INPUT_NAME = "pixels"
QUANTIZED_OPERATORS = ["Conv", "Relu", "MaxPool", "Transpose", "Reshape", "MatMul", "Gemm", "Add"]
"""All but softmax: its output in 8 bits would cost probabilities below 1/255 and saves no time."""


def convert(model: keras.Model) -> onnx.ModelProto:
    """The fp32 graph, scaling included."""
    side = int(model.input_shape[1])

    @tf.function(input_signature=[tf.TensorSpec((None, side, side, 3), tf.uint8, name=INPUT_NAME)])  # type: ignore[untyped-decorator]
    def deployable(pixels: tf.Tensor) -> tf.Tensor:
        probabilities = model(tf.cast(pixels, tf.float32) * (1 / 255), training=False)
        return tf.identity(probabilities, name="probabilities")

    # tf2onnx.convert.from_keras does not know Keras 3; the traced function it does know.
    graph, _ = tf2onnx.convert.from_function(deployable, input_signature=deployable.input_signature, opset=OPSET)
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value = int(model.output_shape[-1])
    onnx.checker.check_model(graph, full_check=True)
    return graph


class _PixelReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._images: Iterator[NDArray[np.uint8]] = iter(pixels)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT_NAME: image[np.newaxis]}


def quantize(graph: onnx.ModelProto, calibration_pixels: NDArray[np.uint8]) -> onnx.ModelProto:
    """Static int8, QDQ, weights per channel; activation ranges from ``calibration_pixels`` (min and max)."""
    with tempfile.TemporaryDirectory() as folder, log_hidden():
        quantized = Path(folder) / "int8.onnx"
        quantize_static(
            graph,
            quantized,
            _PixelReader(calibration_pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTIZED_OPERATORS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        result = onnx.load(quantized)
    onnx.checker.check_model(result)
    return result


def with_spec(graph: onnx.ModelProto, spec: ModelSpec) -> bytes:
    """The file's bytes, with the spec in its metadata."""
    carrying = onnx.ModelProto()
    carrying.CopyFrom(graph)
    onnx.helper.set_model_props(carrying, {SPEC_KEY: spec.to_json()})
    content: bytes = carrying.SerializeToString(deterministic=True)
    return content
