"""Benchmark Keras as notebooks call it: ``model(x)``."""

from pathlib import Path

import numpy as np

from pipeline import artifacts
from pipeline.benchmark.engines import DeskBackend
from pipeline.system.quiet import load_tensorflow
from runtime.benchmark.timed_model import TimedModel
from runtime.engines.base import Pixels, Probabilities


def _load(folder: Path, threads: int) -> TimedModel:
    load_tensorflow(threads)
    from pipeline.benchmark.engines.reference import ReferenceTimedModel, load_exported

    reference = load_exported(folder)

    def run(pixels: Pixels) -> Probabilities:
        return np.asarray(reference.model(reference.scaling(pixels), training=False))

    return ReferenceTimedModel(run, folder, reference.size)


BACKEND = DeskBackend("Keras, model(x)", artifacts.MODEL_KERAS, _load)
