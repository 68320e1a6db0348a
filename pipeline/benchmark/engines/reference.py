"""The reference of an export folder, as Keras and TensorFlow run it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.documents.manifest import Manifest
from pipeline.export.load.model import load_exported
from pipeline.verify.parity import model_files
from runtime import Classifier, ModelSpec
from runtime.benchmark.timed_model import TimedModel
from runtime.engines.base import Pixels, Probabilities

__all__ = ["ReferenceTimedModel", "load_exported", "spec_of"]


class ReferenceTimedModel(TimedModel):
    """One way of calling it; its photos become square as those of the exported files."""

    def __init__(self, run: Callable[[Pixels], Probabilities], folder: Path, size: tuple[int, int]) -> None:
        super().__init__(run, np.zeros((1, *size, 3), np.uint8), images="black")
        self._folder = folder

    def spec(self) -> ModelSpec:
        """As an exported file says it."""
        return spec_of(self._folder)


def spec_of(folder: Path) -> ModelSpec:
    """What an export folder's files say of themselves."""
    return Classifier(folder / model_files(Manifest.read(folder))[0]).spec
