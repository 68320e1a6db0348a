"""The few images that travel in git: calibration images and test images, each set as one lossless sheet."""

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline import artifacts
from pipeline.data import cifar10
from pipeline.data.dataset import Dataset, split, stratified_indices
from pipeline.errors import DataError

CALIBRATION_COUNT = 500
TEST_COUNT = 1_000
COLUMNS = 25


def write(folder: Path) -> None:
    """Draw calibration images from CIFAR-10's training split and test images from its test set, by class."""
    training, test = cifar10.load()
    training, _ = split(training, cifar10.VALIDATION_COUNT)
    calibration = training.take(stratified_indices(training.labels, CALIBRATION_COUNT, seed=0))
    small_test = test.take(stratified_indices(test.labels, TEST_COUNT, seed=0))
    _write_sheet(folder / artifacts.CALIBRATION_SHEET, calibration)
    _write_sheet(folder / artifacts.TEST_SHEET, small_test)
    index = {
        "class_names": list(cifar10.CLASS_NAMES),
        "calibration": {"digest": calibration.digest, "labels": calibration.labels.tolist()},
        "test": {"digest": small_test.digest, "labels": small_test.labels.tolist()},
    }
    artifacts.write_json(folder / artifacts.SAMPLES, index)


def read_calibration(folder: Path) -> Dataset:
    """The calibration images of ``write``."""
    return _read(folder, "calibration", artifacts.CALIBRATION_SHEET)


def read_test(folder: Path) -> Dataset:
    """The test images of ``write``."""
    return _read(folder, "test", artifacts.TEST_SHEET)


def _read(folder: Path, name: str, sheet: str) -> Dataset:
    index = artifacts.read_json(folder / artifacts.SAMPLES)
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
