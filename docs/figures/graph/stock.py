"""Build stock int8 files as the converters' documentation describes, to compare ours with them.

The stock ONNX file is tf2onnx's conversion, quantized by ``quantize_static`` (QDQ, per channel). The stock TFLite file
is made by ``TFLiteConverter`` with default optimization and a representative data set. Both take scaled float images.
"""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
import tf2onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from pipeline.export.load.deployable import Deployable
from pipeline.system.quiet import log_hidden

INPUT = "image"


class _ImageReader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: NDArray[np.float32]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image[np.newaxis]}


def stock_onnx(reference: Deployable, calibration: NDArray[np.uint8]) -> bytes:
    """Build the int8 ONNX file; ``calibration`` is uint8 (N, H, W, 3)."""
    signature = [tf.TensorSpec((None, *reference.model.input_shape[1:]), tf.float32, name=INPUT)]
    network = tf.function(lambda image: reference.model(image, training=False), input_signature=signature)
    with tempfile.TemporaryDirectory() as scratch, log_hidden():
        float_path, path = Path(scratch) / "float.onnx", Path(scratch) / "int8.onnx"
        tf2onnx.convert.from_function(network, input_signature=signature, opset=17, output_path=str(float_path))
        reader = _ImageReader(reference.scaling(calibration))
        quantize_static(float_path, path, reader, quant_format=QuantFormat.QDQ, per_channel=True)
        return path.read_bytes()


def stock_tflite(
    reference: Deployable, calibration: NDArray[np.uint8], converter: tf.lite.TFLiteConverter | None = None
) -> bytes:
    """Build the int8 TFLite file.

    Args:
        reference: the classifier.
        calibration: uint8 (N, H, W, 3).
        converter: for the same network, if it has been traced already; by default for the Keras model, which the
            converter first saves as a SavedModel.
    """

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for image in reference.scaling(calibration):
            yield [image[np.newaxis]]

    with log_hidden(), contextlib.redirect_stdout(io.StringIO()):
        converter = converter or tf.lite.TFLiteConverter.from_keras_model(reference.model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        content: bytes = converter.convert()
    return content
