"""Count how many photos of known labels, a folder for each class, a model file names rightly."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runtime.classifier import Classifier
from runtime.errors import ImageError, ImageFileNotFoundError
from runtime.photo_files import is_hidden, list_photos
from runtime.text import first_of


class Judged(NamedTuple):
    """How a model does on photos of known labels.

    Attributes:
        photos: how many there are.
        right: how many of them have their folder's class as the most probable one.
        unreadable: path and reason of each photo that cannot be decoded; they count as wrong.
    """

    photos: int
    right: int
    unreadable: tuple[str, ...]


class Labeled(NamedTuple):
    """A photo, and the name of its class."""

    path: str
    class_name: str


def labeled_photos(folder: Path, class_names: Sequence[str]) -> list[Labeled]:
    """Every photo in the folders of ``folder``, each of which has the name of a class, or its ``plain_name``.

    Raises:
        ImageFileNotFoundError: there is no photo.
        ImageError: a folder has the name of no class.
    """
    photos = [
        Labeled(path, name) for place, name in _class_folders(folder, class_names) for path in _photos(folder / place)
    ]
    if not photos:
        raise ImageFileNotFoundError(f"{folder}: no photos; expected a folder of photos for each class")
    return photos


def judge(classifier: Classifier, photos: Sequence[Labeled]) -> Judged:
    """Classify the photos, and count the right answers."""
    answers = classifier.classify_many((photo.path for photo in photos), top=1, yield_errors=True)
    right, unreadable = 0, []
    for photo, answer in zip(photos, answers, strict=True):
        if isinstance(answer, ImageError):
            unreadable.append(str(answer))
        else:
            right += answer.label == photo.class_name
    return Judged(len(photos), right, tuple(unreadable))


def plain_name(class_name: str) -> str:
    """A class name in the characters that files of a bundle have; others become ``+`` and two hex digits a byte."""
    return "".join(
        letter if re.fullmatch("[A-Za-z0-9_-]", letter) else "".join(f"+{byte:02x}" for byte in letter.encode())
        for letter in class_name
    )


def _class_folders(folder: Path, class_names: Sequence[str]) -> list[tuple[str, str]]:
    """The names of the folders in ``folder``, each with its class."""
    by_folder = {name: name for name in class_names} | {plain_name(name): name for name in class_names}
    try:
        with os.scandir(folder) as entries:
            folders = sorted(entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name))
    except OSError as error:
        raise ImageFileNotFoundError(
            f"{folder}: {error.strerror}; expected a folder with a folder of photos for each class"
        ) from error
    unknown = [name for name in folders if name not in by_folder]
    if unknown:
        raise ImageError(
            f"{folder}: {first_of(unknown)} {'is' if len(unknown) == 1 else 'are'} no class of the model; expected "
            f"folders named as its classes: {first_of(class_names)}"
        )
    return [(name, by_folder[name]) for name in folders]


def _photos(folder: Path) -> list[str]:
    listing = list_photos(folder)
    return [photo.path for photo in listing.photos] + [
        left.path for left in listing.left_out if left.looks_like_photo
    ]  # which the decoder then says what is wrong with
