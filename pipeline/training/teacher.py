"""A trained model as teacher of a smaller one: its outputs on augmented images, computed once and cached."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data.cifar10 import cache_dir
from pipeline.data.dataset import Dataset
from pipeline.errors import PipelineError
from pipeline.training import augmentation
from pipeline.training.augmentation import SMALLEST_PROBABILITY
from pipeline.training.batches import plan_pass
from pipeline.training.settings import Settings

CHUNK = 1_000
SHAPING_PLAIN = ("mixed_precision",)
SHAPING = ("seed", "shift", "flip", "color", "random_erasing", "cutmix", "mixup", *SHAPING_PLAIN)
"""The settings that the outputs on plain images and those on augmented images depend on."""


class Teacher:
    """A Keras classifier with the student's classes and image size.

    The augmentation of a pass depends on its number, and passes repeat after ``teacher_passes``, so the teacher
    processes each pass once. Without passes, it processes each image and its mirror image once; the mean probabilities
    are mixed like the images, and augmentation never repeats. Outputs are cached, and reused by other students of the
    same images.

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
        names = SHAPING if settings.teacher_passes else SHAPING_PLAIN
        shaping = [f"{name}={getattr(settings, name)}" for name in names]
        self.key = artifacts.sha256(" ".join([self.digest, images.digest, *shaping]).encode())[:16]

    def outputs(self, number: int, *, keep: bool) -> NDArray[np.float32]:
        """Return the log-probabilities of the images as augmented in a pass: float32 (N, C).

        Args:
            number: of the pass.
            keep: whether to cache what the teacher computes.
        """
        if self.settings.teacher_passes:
            return self._cached(str(number), self._augmented(number), keep=keep)
        return augmentation.mix_predictions(
            self._cached("plain", self._plain(), keep=keep), plan_pass(self.images, self.settings, number)
        )

    def _augmented(self, number: int) -> Iterator[NDArray[np.float32]]:
        """Yield the probabilities of the images as augmented in a pass, float32 (M, C) for each of some chunks."""
        planned = plan_pass(self.images, self.settings, number)
        for chunk in self._chunks():
            yield self._predict(augmentation.apply(self.images.pixels, planned, chunk))

    def _plain(self) -> Iterator[NDArray[np.float32]]:
        """Yield the mean probabilities of the images and their mirror images, float32 (M, C) for each chunk."""
        for chunk in self._chunks():
            pixels = self.images.pixels[chunk]
            yield (self._predict(pixels) + self._predict(pixels[:, :, ::-1])) / np.float32(2)

    def _chunks(self) -> list[NDArray[np.int64]]:
        return np.array_split(np.arange(len(self.images)), math.ceil(len(self.images) / CHUNK))

    def _cached(self, name: str, computed: Iterable[NDArray[np.float32]], *, keep: bool) -> NDArray[np.float32]:
        """Return the logarithms of ``computed`` probabilities, float32 (N, C), from the cache if they are there."""
        path = cache_dir() / "teacher" / f"{self.key}_{name}.npy"
        if path.is_file():
            kept: NDArray[np.float16] = np.load(path)
            return kept.astype(np.float32)
        # Half precision also in memory, so that the first and later runs train with the same numbers.
        result = np.log(np.maximum(np.concatenate(list(computed)), SMALLEST_PROBABILITY)).astype(np.float16)
        if keep:
            with artifacts.atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, result)
        answers: NDArray[np.float32] = result.astype(np.float32)
        return answers

    def _predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = self.model.predict_on_batch(pixels.astype(np.float32) / np.float32(255))
        return probabilities


def pass_number(epoch: int, settings: Settings, *, taught: bool) -> int:
    """Return the number of the augmentation that ``epoch`` (from 0) uses; with a teacher, passes repeat."""
    return epoch % settings.teacher_passes if taught and settings.teacher_passes else epoch
