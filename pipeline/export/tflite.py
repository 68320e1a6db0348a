"""Keras -> TFLite: uint8 pixels in, probabilities out (int8 ones are dequantised by the caller), one image a call."""

import io
import zipfile
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.export.deployable import Deployable
from pipeline.export.freeze import freeze
from pipeline.quiet import log_hidden
from runtime.backends.seal import seal
from runtime.golden import GOLDEN_FILE, GoldenSet
from runtime.spec import SPEC_FILE, ModelSpec

LABELS_FILE = "labels.txt"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def convert(deployable: Deployable) -> bytes:
    """The fp32 flatbuffer, scaling included."""
    with log_hidden():
        content: bytes = _converter(deployable, tf.uint8).convert()
    return content


def quantize(deployable: Deployable, calibration_pixels: NDArray[np.uint8]) -> bytes:
    """Full integer: built-in int8 operators only, activation ranges from ``calibration_pixels``.

    The graph behind takes 0-1; with the input range pinned to it, the input's scale is 1/255 and its zero point 0,
    so that uint8 pixels are the quantised input as they stand. What else the scaling does, the graph computes.
    """
    extremes = np.zeros_like(calibration_pixels[:1])
    extremes[..., :1, :] = 255
    images = np.concatenate([calibration_pixels, extremes]).astype(np.float32) / 255

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for image in images:
            yield [image[np.newaxis]]

    with log_hidden():
        converter = _converter(deployable, tf.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
        content: bytes = converter.convert()
    return content


def _converter(deployable: Deployable, input_type: tf.DType) -> tf.lite.TFLiteConverter:
    """The converter of a graph that takes uint8 pixels, or float32 pixels divided by 255."""
    unit = 1.0 if input_type == tf.uint8 else 255.0
    scale = np.array(deployable.network_scaling.scale, np.float32) * np.float32(unit)
    offset = np.array(deployable.network_scaling.offset, np.float32)

    def network(pixels: tf.Tensor) -> tf.Tensor:
        image = tf.cast(pixels, tf.float32)
        image = image if (scale == 1).all() else image * scale
        image = image if (offset == 0).all() else image + offset
        return deployable.trace(image)

    return tf.lite.TFLiteConverter.from_concrete_functions([freeze(network, deployable.side, input_type, batch=1)])


def with_metadata(flatbuffer: bytes, spec: ModelSpec, golden: GoldenSet | None = None) -> bytes:
    """The file's bytes, sealed, with spec, labels and golden set in a ZIP archive behind the flatbuffer."""
    stream = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(SPEC_FILE, ZIP_EPOCH), spec.to_json())
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, ZIP_EPOCH), "\n".join(spec.class_names) + "\n")
        if golden:
            archive.writestr(zipfile.ZipInfo(GOLDEN_FILE, ZIP_EPOCH), golden.to_json())
    return seal(stream.getvalue())
