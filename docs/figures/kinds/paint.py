"""Painted photos of four classes that differ in shape, color and brightness, so that any classifier can learn them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from docs.figures.kinds.models import SIDE

CLASSES = ("disc", "rows", "columns", "frame")
COLORS = ((225, 60, 50), (60, 190, 80), (60, 90, 230), (235, 210, 60))
TRAINING, VALIDATION = 56, 30
"""Number of photos per class."""


def paint(folder: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write ``train/`` and ``val/`` with a folder for each class; return ``folder``."""
    random = np.random.default_rng(7)
    for part, count in (("train", TRAINING), ("val", VALIDATION)):
        for name in classes:
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(_picture(CLASSES.index(name), random)).save(place / f"{number}.png")
    return folder


def paint_several(folder: Path, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write photos into ``train/`` and ``val/`` that show any number of the classes, and ``labels.csv``."""
    random = np.random.default_rng(8)
    rows = ["file,labels"]
    for part, count in (("train", TRAINING), ("val", VALIDATION)):
        (folder / part).mkdir(parents=True)
        for number in range(count * len(classes)):
            shown = [label for label in range(len(classes)) if random.random() < 0.4]
            pictures = [_picture(label, random) for label in shown] or [np.full((SIDE, SIDE, 3), 30, np.uint8)]
            path = f"{part}/{number:03}.png"
            Image.fromarray(np.max(pictures, axis=0)).save(folder / path)
            rows.append(f"{path},{';'.join(classes[label] for label in shown)}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


def _picture(label: int, random: np.random.Generator) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    top, left = random.integers(10, SIDE - 10, 2)
    period, phase = random.integers(4, 7), random.integers(0, 6)
    radius = random.uniform(6, 9)
    distance = np.maximum(abs(rows - top), abs(columns - left))
    shape = (
        (rows - top) ** 2 + (columns - left) ** 2 < radius**2,
        (rows + phase) % period < period / 2,
        (columns + phase) % period < period / 2,
        (distance < radius) & (distance > radius - 3),
    )[label]
    ground = np.full(3, random.uniform(15, 60))
    color = np.array(COLORS[label]) * random.uniform(0.75, 1.0)
    picture = np.where(shape[..., np.newaxis], color, ground) + random.normal(0, 8, (SIDE, SIDE, 3))
    return np.clip(picture, 0, 255).astype(np.uint8)
