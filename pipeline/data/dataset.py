"""A data set of images, labeled or not, and its division into parts."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from runtime.text import plural

BATCH_BYTES = 2 * 1024 * 1024
"""Bytes of pixels in one batch; a network's activations take about a hundred times as much memory."""


def format_size(size: tuple[int, int]) -> str:
    """Format (height, width) as ``WIDTHxHEIGHT``: ``32x48`` is 32 pixels wide."""
    height, width = size
    return f"{width}x{height}"


@dataclass(frozen=True)
class Dataset:
    """Images and their classes.

    Attributes:
        pixels: uint8 (N, H, W, 3), RGB, 0-255; square unless the model is not. May be memory-mapped.
        labels: uint8 or int64 (N,), each below ``len(class_names)``.
        class_names: the name of each class, in label order.
        paths: of the photo files, relative to their folder; empty if the images have no files.
        labeled: whether each image has one known class; if false, ``labels`` are all 0 and mean nothing.
        multi_hot: labels of each image for a multi-label model, bool (N, C); ``labeled`` is then false.

    Raises:
        DataError: shapes, dtypes or numbers do not fit.
    """

    pixels: NDArray[np.uint8]
    labels: NDArray[np.integer]
    class_names: tuple[str, ...]
    paths: tuple[str, ...] = ()
    labeled: bool = True
    multi_hot: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shape, count = self.pixels.shape, len(self.labels)
        if self.pixels.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3:
            raise DataError(f"pixels must be uint8 (N, H, W, 3), got {self.pixels.dtype} {shape}")
        if shape[0] != count or not count:
            raise DataError(
                f"need as many labels as images and at least one, got {plural(count, 'label')} for "
                f"{plural(shape[0], 'image')}"
            )
        if len(self.paths) not in (0, count):
            raise DataError(f"need a path for each of {plural(count, 'image')} or none at all, got {len(self.paths)}")
        if self.multi_hot is not None and (self.labeled or self.multi_hot.shape != (count, len(self.class_names))):
            shape, classes = self.multi_hot.shape, len(self.class_names)
            raise DataError(f"multi-hot labels must be bool ({count}, {classes}) in place of labels, got {shape}")
        if int(self.labels.min()) < 0:
            raise DataError(f"labels are numbers of classes from 0 up, got {int(self.labels.min())}")
        if int(self.labels.max()) >= len(self.class_names):
            raise DataError(
                f"label {int(self.labels.max())} has no name: only {plural(len(self.class_names), 'class name')} given"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Height of the images in pixels, which is the side of square images."""
        return int(self.pixels.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of pixels, labels and multi-hot labels."""
        digest = hashlib.sha256()
        for part in in_batches(self.pixels, len(self)):
            digest.update(part.tobytes())
        few = len(self.class_names) <= np.iinfo(np.uint8).max + 1
        digest.update(self.labels.astype(np.uint8 if few else "<i8").tobytes())
        if self.multi_hot is not None:
            digest.update(self.multi_hot.tobytes())
        return digest.hexdigest()

    def take(self, indices: NDArray[np.integer]) -> "Dataset":
        """Return the images at ``indices``, copied into memory."""
        paths = tuple(self.paths[index] for index in indices) if self.paths else ()
        multi_hot = None if self.multi_hot is None else self.multi_hot[indices]
        return replace(self, pixels=self.pixels[indices], labels=self.labels[indices], paths=paths, multi_hot=multi_hot)

    def name_of(self, index: int) -> str:
        """Return the photo's path, or its index if it has none, for messages."""
        return self.paths[index] if self.paths else str(index)


def without_labels(pixels: NDArray[np.uint8], class_names: tuple[str, ...]) -> Dataset:
    """Make a data set of images without labels, uint8 (N, H, W, 3)."""
    return Dataset(pixels, np.zeros(len(pixels), np.int64), class_names, labeled=False)


def with_multi_hot(dataset: Dataset) -> Dataset:
    """Convert class labels to ``multi_hot`` with one label for each image, for a multi-label model."""
    if not dataset.labeled:
        return dataset
    multi_hot = dataset.labels[:, np.newaxis] == np.arange(len(dataset.class_names))
    return replace(dataset, labels=np.zeros(len(dataset), np.int64), labeled=False, multi_hot=multi_hot)


def batch_size(pixels: NDArray[np.uint8], most: int, batch_bytes: int = BATCH_BYTES) -> int:
    """Return the number of images (N, H, W, 3) per batch: ``most``, or fewer if they are large."""
    return max(min(most, batch_bytes // pixels[:1].nbytes), 1) if len(pixels) else most


def in_batches(pixels: NDArray[np.uint8], most: int, batch_bytes: int = BATCH_BYTES) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of the images (N, H, W, 3), of ``most`` images, or of fewer if they are large."""
    step = batch_size(pixels, most, batch_bytes)
    for start in range(0, len(pixels), step):
        yield pixels[start : start + step]


def stratified_indices(labels: NDArray[np.integer], count: int, seed: int) -> NDArray[np.int64]:
    """Draw ``count`` indices, each class in proportion to its share of ``labels``, at least one; in ascending order.

    Raises:
        DataError: ``count`` is less than the number of classes, or more than the number of images.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if not len(classes) <= count <= len(labels):
        raise DataError(f"cannot draw {count} of {plural(len(labels), 'image')} with {plural(len(classes), 'class')}")
    shares = sizes * count / len(labels)
    quota = np.maximum(np.floor(shares).astype(int), 1)
    for position in np.argsort(quota - shares, kind="stable")[: max(count - int(quota.sum()), 0)]:
        quota[position] += 1
    random = np.random.default_rng(seed)
    drawn = [
        random.choice(np.flatnonzero(labels == label), size, replace=False)
        for label, size in zip(classes, quota, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def joined(first: Dataset, second: Dataset) -> Dataset:
    """Return the images of two data sets of the same size, classes and kind of labels, copied into memory."""
    both = None
    if first.multi_hot is not None and second.multi_hot is not None:
        both = np.concatenate([first.multi_hot, second.multi_hot])
    return replace(
        first,
        pixels=np.concatenate([first.pixels, second.pixels]),
        labels=np.concatenate([first.labels, second.labels]),
        paths=(*first.paths, *second.paths),
        multi_hot=both,
    )


def hold_out(dataset: Dataset, share: float, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Divide images into ``(rest, held out)``; a share (0-1) is held out.

    The held-out images are stratified, with at least one of each class, unless that would take more than half of all
    images.
    """
    classes = len(np.unique(dataset.labels))
    count = max(round(len(dataset) * share), classes)
    if count * 2 <= len(dataset):
        return split(dataset, count, seed)
    mixed = replace(dataset, labels=np.zeros(len(dataset), np.int64))
    chosen = stratified_indices(mixed.labels, max(round(len(dataset) * share), 1), seed)
    return dataset.take(np.setdiff1d(np.arange(len(dataset)), chosen)), dataset.take(chosen)


def split(dataset: Dataset, validation_count: int, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Divide training images into ``(training, validation)``, stratified and disjoint."""
    chosen = stratified_indices(dataset.labels, validation_count, seed)
    rest = np.setdiff1d(np.arange(len(dataset)), chosen)
    return dataset.take(rest), dataset.take(chosen)
