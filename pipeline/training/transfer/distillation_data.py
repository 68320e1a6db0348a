"""The training data of a student: views of photos in the student's size, and the teacher's logits of each view."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline import artifacts
from pipeline.data.cifar10 import cache_dir
from pipeline.data.dataset import Dataset
from pipeline.training import augmentation, batches
from pipeline.training.settings import Settings
from pipeline.training.transfer import views
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec

BATCH = 64


@dataclass(frozen=True)
class DistillationData:
    """Views of photos in the student's size, with labels and the teacher's logits.

    Attributes:
        squares: uint8 (V, N, S, S, 3), V views of N photos; may be memory-mapped.
        labels: int64 (N,); for an unlabeled photo, the teacher's answer.
        logits: of the teacher, float32 (V, N, C).
        class_names: of the C classes.
        digest: SHA-256 of the teacher's file.
    """

    squares: NDArray[np.uint8]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    class_names: tuple[str, ...]
    digest: str

    @property
    def photos(self) -> Dataset:
        """The photos without augmentation."""
        return Dataset(self.squares[0], self.labels, self.class_names)

    def epoch(self, settings: Settings, number: int) -> batches.Epoch:
        """Plan epoch ``number`` (from 0): one view of each photo, with further augmentation."""
        view = number % len(self.squares)
        images = Dataset(self.squares[view], self.labels, self.class_names)
        planned = batches.plan_pass(images, settings, number)
        return batches.Epoch(
            images,
            batches.order_of(images, settings, number),
            settings.batch_size,
            planned,
            batches.weights_of_classes(images, balance=settings.balance_classes),
            augmentation.mix_predictions(self.logits[view], planned),
        )


def small_views(parts: Sequence[NDArray[np.uint8]], numbers: Sequence[int], spec: ModelSpec) -> NDArray[np.uint8]:
    """Return views of photos in the student's size, memory-mapped from the cache: uint8 (V, N, S, S, 3).

    Args:
        parts: photos in the teacher's size, each part uint8 (M, L, L, 3); N is the sum of all M.
        numbers: of the V views; see ``views.view``.
        spec: the preprocessing of the student.
    """
    squares = [square for part in parts for square in part]  # not copies, even of memory-mapped parts
    keys = [views.key_of(square) for square in squares]
    about = [
        views.VERSION,
        *numbers,
        spec.side,
        spec.resize,
        spec.resize_filter,
        spec.fill,
        *(key.hex() for key in keys),
    ]
    path = cache_dir() / "students" / f"{artifacts.sha256(repr(about).encode())[:32]}.npy"
    if not path.is_file():

        def small(place: tuple[int, int]) -> NDArray[np.uint8]:
            number, at = place
            return load_pixels(views.view(squares[at], keys[at], number), spec)

        places = [(number, at) for number in numbers for at in range(len(squares))]
        with artifacts.atomic_path(path) as temporary, ThreadPoolExecutor(os.cpu_count()) as pool:
            shape = (len(places), spec.side, spec.side, 3)
            written = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            with tqdm(total=len(places), unit="view", desc="views", mininterval=0.5, disable=None) as bar:
                for start in range(0, len(places), BATCH):
                    for row, square in enumerate(pool.map(small, places[start : start + BATCH]), start):
                        written[row] = square
                        bar.update()
            written.flush()
    kept = np.load(path, mmap_mode="r")
    result: NDArray[np.uint8] = kept.reshape(len(numbers), len(squares), *kept.shape[1:])
    return result
