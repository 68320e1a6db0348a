"""A trained model as teacher of a smaller one: its outputs on augmented images, computed once and cached."""

import math
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data.cifar10 import cache_dir
from pipeline.data.dataset import Dataset
from pipeline.errors import PipelineError
from pipeline.training import augmentation
from pipeline.training.batches import plan_pass
from pipeline.training.settings import Settings

CHUNK = 1_000
SMALLEST_PROBABILITY = 1e-7
SHAPING = ("seed", "shift", "flip", "color", "random_erasing", "cutmix", "mixup", "mixed_precision")
"""The settings that the outputs depend on."""


class Teacher:
    """A Keras classifier with the student's classes and image size.

    The augmentation of a pass depends on its number, and passes repeat after ``teacher_passes``, so the teacher
    processes each pass once. Its outputs are cached, and reused by other students of the same images.

    Raises:
        PipelineError: the teacher has another image size or another number of classes.
    """

    def __init__(self, path: Path, images: Dataset, settings: Settings) -> None:
        from pipeline.export.load.model import load_model

        self.model: keras.Model = load_model(path)
        if settings.mixed_precision:
            for layer in self.model.layers[:-1]:
                layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
        expected = ((None, *images.size, 3), (None, len(images.class_names)))
        got = (self.model.input_shape, self.model.output_shape)
        if got != expected:
            raise PipelineError(f"{path} cannot teach here: it maps {got[0]} to {got[1]}, needed {expected}")
        self.images, self.settings = images, settings
        self.digest = artifacts.sha256(path.read_bytes())
        shaping = [f"{name}={getattr(settings, name)}" for name in SHAPING]
        self.key = artifacts.sha256(" ".join([self.digest, images.digest, *shaping]).encode())[:16]

    def outputs(self, number: int, *, keep: bool) -> NDArray[np.float32]:
        """Return the log-probabilities of the images as augmented in a pass: float32 (N, C).

        Args:
            number: of the pass.
            keep: whether to cache them.
        """
        path = cache_dir() / "teacher" / f"{self.key}_{number}.npy"
        if path.is_file():
            kept: NDArray[np.float16] = np.load(path)
            return kept.astype(np.float32)
        planned = plan_pass(self.images, self.settings, number)
        chunks = np.array_split(np.arange(len(self.images)), math.ceil(len(self.images) / CHUNK))
        # Half precision also in memory, so that the first and later runs train with the same numbers.
        result = np.concatenate(
            [self._look(augmentation.apply(self.images.pixels, planned, chunk)) for chunk in chunks]
        ).astype(np.float16)
        if keep:
            with artifacts.atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, result)
        return result.astype(np.float32)

    def _look(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = self.model.predict_on_batch(pixels.astype(np.float32) / np.float32(255))
        logarithms: NDArray[np.float32] = np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))
        return logarithms


def pass_number(epoch: int, settings: Settings, *, taught: bool) -> int:
    """Return the number of the augmentation that ``epoch`` (from 0) uses; with a teacher, augmentations repeat."""
    return epoch % settings.teacher_passes if taught else epoch
