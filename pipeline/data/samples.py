"""The few CIFAR-10 images in the repository: calibration, validation and test images, each set in a lossless sheet."""

import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import artifacts
from pipeline.data import cifar10
from pipeline.data.dataset import Dataset, stratified_indices
from pipeline.documents.history import History
from pipeline.errors import DataError

CALIBRATION_COUNT = 500
TEST_COUNT = 1_000
FULL_CALIBRATION_COUNT = 1_000
COLUMNS = 25


def write(folder: Path) -> None:
    """Draw and write all three sets, stratified by class.

    Test images are from CIFAR-10's test images, validation images from the split of its training images that is not
    trained on, calibration images from the others.
    """
    training, validation = cifar10.divided()
    test = cifar10.load()[1]
    sheets = {
        artifacts.CALIBRATION_SHEET: _draw(training, CALIBRATION_COUNT),
        artifacts.VALIDATION_SHEET: _draw(validation, cifar10.SHIPPED_VALIDATION_COUNT),
        artifacts.TEST_SHEET: _draw(test, TEST_COUNT),
    }
    index: dict[str, Any] = {"class_names": list(cifar10.CLASS_NAMES)}
    for sheet, dataset in sheets.items():
        _write_sheet(folder / sheet, dataset)
        index[Path(sheet).stem] = {"digest": dataset.digest, "labels": dataset.labels.tolist()}
    artifacts.write_json(folder / artifacts.SAMPLES, index)


def calibration_images() -> Dataset:
    """Return 1,000 training images if CIFAR-10 is cached, else the 500 shipped with the reference."""
    if not cifar10.is_cached():
        _say_few()
        return read_calibration(artifacts.REFERENCE_DIR)
    return draw_calibration(cifar10.divided()[0])


def draw_calibration(training: Dataset) -> Dataset:
    """Draw up to 1,000 training images, stratified by class."""
    return _draw(training, min(FULL_CALIBRATION_COUNT, len(training)))


def validation_images(history: History | None = None) -> Dataset:
    """Return the validation images of a network: those of CIFAR-10 that it was not trained on.

    Args:
        history: of the network's training, which may have kept fewer than 5,000 apart.

    Returns:
        5,000 images or as many as the history says, if CIFAR-10 is cached; else the 1,000 that are shipped.
    """
    if not cifar10.is_cached():
        _say_few()
        return read_validation(artifacts.REFERENCE_DIR)
    return cifar10.divided(validation_count(history))[1]


def validation_count(history: History | None) -> int | None:
    """Return the number of CIFAR-10's images that a training kept apart; ``None`` if it was of other images."""
    images = history.images if history is not None and history.photos is None else None
    whole = images is not None and images.training + images.validation == cifar10.TRAINING_COUNT
    return images.validation if images is not None and whole else None


def test_images() -> Dataset:
    """Return the 10,000 test images if CIFAR-10 is cached, else the 1,000 shipped with the reference."""
    if not cifar10.is_cached():
        _say_few()
        return read_test(artifacts.REFERENCE_DIR)
    return cifar10.load()[1]


@cache
def _say_few() -> None:
    """Print once that only the few images in the repository are used, because that widens the figures' intervals."""
    print(
        f"CIFAR-10 is not in {cifar10.cache_dir()}: taking the few of its images that come with the repository "
        f"({TEST_COUNT:,} for tests); python -m pipeline train fetches all of them",
        file=sys.stderr,
    )


def read_calibration(folder: Path) -> Dataset:
    """Read the calibration images that ``write`` wrote."""
    return _read(folder, artifacts.CALIBRATION_SHEET)


def read_validation(folder: Path) -> Dataset:
    """Read the validation images that ``write`` wrote."""
    return _read(folder, artifacts.VALIDATION_SHEET)


def read_test(folder: Path) -> Dataset:
    """Read the test images that ``write`` wrote."""
    return _read(folder, artifacts.TEST_SHEET)


def _draw(dataset: Dataset, count: int) -> Dataset:
    return dataset.take(stratified_indices(dataset.labels, count, seed=0))


def _read(folder: Path, sheet: str) -> Dataset:
    index, name = artifacts.read_json(folder / artifacts.SAMPLES), Path(sheet).stem
    labels = np.asarray(index[name]["labels"], np.uint8)
    with Image.open(folder / sheet) as image:
        grid = np.asarray(image.convert("RGB"))
    side = grid.shape[1] // COLUMNS
    rows = grid.shape[0] // side
    pixels = grid.reshape(rows, side, COLUMNS, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    dataset = Dataset(pixels[: len(labels)], labels, tuple(index["class_names"]))
    if dataset.digest != index[name]["digest"]:
        raise DataError(f"{folder / sheet} is not the sheet that {artifacts.SAMPLES} describes: restore both from git")
    return dataset


def _write_sheet(path: Path, dataset: Dataset) -> None:
    rows, side = len(dataset) // COLUMNS, dataset.side
    tiles = dataset.pixels[: rows * COLUMNS].reshape(rows, COLUMNS, side, side, 3)
    grid = tiles.swapaxes(1, 2).reshape(rows * side, COLUMNS * side, 3)
    with artifacts.atomic_path(path) as temporary:
        Image.fromarray(np.ascontiguousarray(grid)).save(temporary, lossless=True, quality=100, method=6)
