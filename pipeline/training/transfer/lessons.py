"""The lessons of a student: small squares of photos in several views, and its teacher's answer to each view."""

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
from pipeline.metrics.calibration import softmax
from pipeline.training import batches
from pipeline.training.augmentation import Pass
from pipeline.training.settings import Settings
from pipeline.training.transfer import views
from runtime.image.load import load_square
from runtime.spec import ModelSpec

SMALLEST_PROBABILITY = 1e-7
BATCH = 64


@dataclass(frozen=True)
class Lessons:
    """Photos as the student sees them.

    Attributes:
        squares: uint8 (V, N, S, S, 3), of V views of N photos; may be memory-mapped.
        labels: int64 (N,); the teacher's answer where nobody has labeled a photo.
        logits: float32 (V, N, C), the teacher's.
        class_names: C of them.
        digest: SHA-256 of the teacher's file.
    """

    squares: NDArray[np.uint8]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]
    class_names: tuple[str, ...]
    digest: str

    @property
    def photos(self) -> Dataset:
        """The photos as they are."""
        return Dataset(self.squares[0], self.labels, self.class_names)

    def epoch(self, settings: Settings, number: int) -> batches.Epoch:
        """What the student sees in epoch ``number`` (from 0): one view of each photo, augmented anew."""
        view = number % len(self.squares)
        images = Dataset(self.squares[view], self.labels, self.class_names)
        planned = batches.plan_pass(images, settings, number)
        return batches.Epoch(
            images,
            batches.order_of(images, settings, number),
            settings.batch_size,
            planned,
            batches.weights_of_classes(images, balance=settings.balance_classes),
            _mixed(self.logits[view], planned),
        )


def _mixed(logits: NDArray[np.float32], planned: Pass) -> NDArray[np.float32]:
    """What the teacher says of images that are mixed: (N, C) logits, their probabilities in the images' shares."""
    probabilities, share = softmax(logits), planned.share[:, None]
    mixed = share * probabilities + (1 - share) * probabilities[planned.partner]
    result: NDArray[np.float32] = np.log(np.maximum(mixed, SMALLEST_PROBABILITY)).astype(np.float32)
    return result


def small_views(parts: Sequence[NDArray[np.uint8]], numbers: Sequence[int], spec: ModelSpec) -> NDArray[np.uint8]:
    """Views of photos in the size of a student, memory-mapped from the cache: uint8 (V, N, S, S, 3).

    Args:
        parts: the photos in the size of the teacher, each uint8 (M, L, L, 3); N is the sum of M.
        numbers: of the views; see ``views.view``.
        spec: how the student's images become squares.
    """
    squares = [square for part in parts for square in part]  # of memory-mapped parts these are no copies
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
            return load_square(views.view(squares[at], keys[at], number), spec)

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
