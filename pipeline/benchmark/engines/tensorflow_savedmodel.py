"""Benchmark TensorFlow on a SavedModel that takes pixels, as TensorFlow Serving loads it, without Keras."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline import artifacts
from pipeline.benchmark.engines import DeskBackend
from pipeline.system.quiet import load_tensorflow, log_hidden
from runtime import ModelSpec
from runtime.benchmark.timed_model import Facts, TimedModel
from runtime.engines.base import Pixels, Probabilities

SIGNATURE = "serving_default"
SPEC = Path("assets.extra") / "spec.json"
"""``assets.extra`` is the folder of a SavedModel for files that are not part of the graph."""


class _ServedTimedModel(TimedModel):
    """A SavedModel, which contains its spec."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._text = (folder / SPEC).read_text(encoding="utf-8")
        self._served = tf.saved_model.load(str(folder))  # its variables live as long as this does
        answer = self._served.signatures[SIGNATURE]

        def run(pixels: Pixels) -> Probabilities:
            return np.asarray(answer(pixels=tf.constant(pixels))["probabilities"])

        super().__init__(run, np.zeros((1, *self.spec().shape), np.uint8), Facts("black"))

    def spec(self) -> ModelSpec:
        """Return the spec with which it was exported."""
        return ModelSpec.from_json(self._text)


def _prepare(folder: Path, place: Path) -> None:
    import tensorflow as tf

    from pipeline.benchmark.engines.reference import load_exported, spec_of

    reference = load_exported(folder)
    scaling = reference.network_scaling

    def serve(pixels: Any) -> Any:
        return {"probabilities": reference.trace(tf.cast(pixels, tf.float32) * scaling.scale + scaling.offset)}

    module = tf.Module()
    module.network = reference.network
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec((None, *reference.size, 3), tf.uint8, "pixels")])
    with log_hidden():
        tf.saved_model.save(module, str(place), signatures={SIGNATURE: module.serve})
    artifacts.write_bytes(place / SPEC, spec_of(folder).to_json().encode())


def _load(folder: Path, threads: int) -> TimedModel:
    load_tensorflow(threads)
    return _ServedTimedModel(folder)


BACKEND = DeskBackend("TensorFlow, SavedModel", artifacts.MODEL_KERAS, _load, prepare=_prepare)
