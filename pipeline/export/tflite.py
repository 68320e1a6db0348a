"""Export to TFLite: the graph takes uint8 pixels of one image and gives probabilities, which may be int8."""

import io
import zipfile

import numpy as np
import tensorflow as tf

from pipeline.export.freeze import as_function
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import PixelScaling
from pipeline.system.quiet import log_hidden
from runtime.engines.checksum import add_checksum
from runtime.golden import GOLDEN_FILE, GoldenSet
from runtime.spec import SPEC_FILE, ModelSpec

LABELS_FILE = "labels.txt"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def convert(deployable: Deployable) -> bytes:
    """Convert to the float32 flatbuffer, which takes uint8 pixels and scales them itself."""
    with log_hidden():
        content: bytes = converter(deployable, tf.uint8, deployable.network_scaling).convert()
    return content


def converter(deployable: Deployable, input_type: tf.DType, scaling: PixelScaling) -> tf.lite.TFLiteConverter:
    """Make the converter of a graph that takes images of ``input_type``, applies ``scaling``, runs the network."""
    scale, offset = np.array(scaling.scale, np.float32), np.array(scaling.offset, np.float32)

    def scaled(pixels: tf.Tensor) -> tf.Tensor:
        image = tf.cast(pixels, tf.float32)
        image = image if (scale == 1).all() else image * scale
        return image if (offset == 0).all() else image + offset

    function = as_function(deployable.frozen, deployable.size, input_type, scaled)
    return tf.lite.TFLiteConverter.from_concrete_functions([function])


def with_metadata(flatbuffer: bytes, spec: ModelSpec, golden: GoldenSet | None = None) -> bytes:
    """Return the bytes of the file: flatbuffer, ZIP archive of spec, labels and golden set, and a checksum."""
    stream = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(SPEC_FILE, ZIP_EPOCH), spec.to_json())
        archive.writestr(zipfile.ZipInfo(LABELS_FILE, ZIP_EPOCH), "\n".join(spec.class_names) + "\n")
        if golden:
            archive.writestr(zipfile.ZipInfo(GOLDEN_FILE, ZIP_EPOCH), golden.to_json())
    return add_checksum(stream.getvalue())
