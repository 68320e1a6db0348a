"""Divide photos into three sets: for training, for the device to see, and for the test."""

import random
from dataclasses import dataclass
from pathlib import Path

from runtime.image.mjpeg import split

A_CLASS, UNKNOWN_HELD_OUT = 40, 200
NONE = "none"


@dataclass(frozen=True)
class Photo:
    """A photo and its label, which is ``none`` for unknown photos."""

    path: Path
    label: str

    @property
    def frame(self) -> bytes:
        """The photo as a frame of an MJPEG stream; empty if it is not a JPEG."""
        frames = list(split([self.path.read_bytes()]))
        return (frames[0] or b"") if len(frames) == 1 else b""


@dataclass(frozen=True)
class Division:
    """Photos for training, photos that the device sees, test photos, and unknown photos for the test."""

    training: list[Photo]
    seen: list[Photo]
    test: list[Photo]
    unknown: list[Photo]


def divide(photos: Path, unknown: Path, seed: int) -> Division:
    """Divide photos: forty of each class of ``train/`` for training, the rest for the device, ``val/`` for the test.

    The device sees as many unknown photos as photos of the classes. A photo of ``unknown`` whose file name contains the
    name of a class is left out.
    """
    draw, training, rest = random.Random(seed), list[Photo](), list[Photo]()  # noqa: S311 - no secret
    for folder in _folders(photos / "train"):
        found = [photo for photo in _photos(folder, folder.name) if photo.frame]
        draw.shuffle(found)
        training += found[:A_CLASS]
        rest += found[A_CLASS:]
    names = {photo.label.rstrip("s") for photo in training}
    others = [
        photo for photo in _photos(unknown, NONE) if photo.frame and not any(name in photo.path.name for name in names)
    ]
    draw.shuffle(others)
    seen = [*rest, *others[: len(rest)]]
    draw.shuffle(seen)
    test = [photo for folder in _folders(photos / "val") for photo in _photos(folder, folder.name)]
    return Division(training, seen, test, others[len(rest) : len(rest) + UNKNOWN_HELD_OUT])


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _photos(folder: Path, label: str) -> list[Photo]:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return [Photo(path, label) for path in files if not path.name.startswith(".")]
