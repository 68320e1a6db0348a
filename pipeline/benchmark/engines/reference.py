"""Time the Keras model of an export folder on Keras and TensorFlow."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.documents.manifest import Manifest
from pipeline.export.load.model import load_exported
from pipeline.verify.parity import model_files
from runtime import Classifier, ModelSpec
from runtime.benchmark.timed_model import Facts, TimedModel
from runtime.engines.base import Pixels, Probabilities

__all__ = ["ReferenceTimedModel", "load_exported", "spec_of"]


class ReferenceTimedModel(TimedModel):
    """The Keras model, called by ``run``; photos are preprocessed as for the exported files."""

    def __init__(self, run: Callable[[Pixels], Probabilities], folder: Path, size: tuple[int, int]) -> None:
        super().__init__(run, np.zeros((1, *size, 3), np.uint8), Facts("black"))
        self._folder = folder

    def spec(self) -> ModelSpec:
        """Return the spec of an exported file."""
        return spec_of(self._folder)


def spec_of(folder: Path) -> ModelSpec:
    """Return the spec of the first model file of an export folder."""
    return Classifier(folder / model_files(Manifest.read(folder))[0]).spec
