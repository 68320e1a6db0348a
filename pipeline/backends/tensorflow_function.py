"""TensorFlow's own graph of the model, pixels in: a ``tf.function`` of one signature, as a SavedModel serves it."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import artifacts
from pipeline.backends import DeskBackend
from pipeline.quiet import load_tensorflow
from runtime.backends import Pixels, Probabilities
from runtime.benchmark.subject import Subject


def _load(folder: Path, threads: int) -> Subject:
    load_tensorflow(threads)
    import tensorflow as tf

    from pipeline.backends.reference import ReferenceSubject, load_exported

    reference = load_exported(folder)
    side, scaling = reference.side, reference.network_scaling

    def trace(pixels: Any) -> Any:
        return reference.trace(tf.cast(pixels, tf.float32) * scaling.scale + scaling.offset)

    graph = tf.function(trace, input_signature=[tf.TensorSpec((None, side, side, 3), tf.uint8)])

    def run(pixels: Pixels) -> Probabilities:
        return np.asarray(graph(tf.constant(pixels)))

    return ReferenceSubject(run, folder, side)


BACKEND = DeskBackend("TensorFlow, tf.function", artifacts.MODEL_KERAS, _load)
