"""Count the labeled photos (one folder per class) that a model file classifies correctly: ``verify --photos``."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runtime.classifier import Classifier
from runtime.errors import ImageError, ImageFileNotFoundError
from runtime.photo_files import is_hidden, list_photos
from runtime.text import first_of, only_in_case


class Accuracy(NamedTuple):
    """Result of a model on labeled photos.

    Attributes:
        photos: number of photos.
        correct: number of photos whose most probable class is the class of their folder.
        unreadable: path and reason for each photo that cannot be decoded; these count as wrong.
    """

    photos: int
    correct: int
    unreadable: tuple[str, ...]


class LabeledPhoto(NamedTuple):
    """A photo, and the name of its class."""

    path: str
    class_name: str


def labeled_photos(folder: Path, class_names: Sequence[str]) -> list[LabeledPhoto]:
    """Return all photos in the subfolders of ``folder``.

    Args:
        folder: holds one subfolder per class, named with the class name or its ``folder_name``.
        class_names: the model's classes.

    Raises:
        ImageFileNotFoundError: there is no photo.
        ImageError: a subfolder is not named after a class.
    """
    photos = [
        LabeledPhoto(path, name)
        for place, name in _class_folders(folder, class_names)
        for path in _photos(folder / place)
    ]
    if not photos:
        raise ImageFileNotFoundError(f"{folder}: no photos; expected a folder of photos for each class")
    return photos


def count_correct(classifier: Classifier, photos: Sequence[LabeledPhoto]) -> Accuracy:
    """Classify the photos and count the correct predictions."""
    answers = classifier.classify_many((photo.path for photo in photos), top=1, yield_errors=True)
    correct, unreadable = 0, []
    for photo, answer in zip(photos, answers, strict=True):
        if isinstance(answer, ImageError):
            unreadable.append(str(answer))
        else:
            correct += answer.label == photo.class_name
    return Accuracy(len(photos), correct, tuple(unreadable))


def folder_name(class_name: str) -> str:
    """Encode a class name as a folder name: each byte but A-Z a-z 0-9 _ - becomes ``+`` and two hex digits."""
    return "".join(
        letter if re.fullmatch("[A-Za-z0-9_-]", letter) else "".join(f"+{byte:02x}" for byte in letter.encode())
        for letter in class_name
    )


def _class_folders(folder: Path, class_names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the subfolders of ``folder`` as (folder name, class name)."""
    by_folder = {name: name for name in class_names} | {folder_name(name): name for name in class_names}
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
            f"folders named after its classes: {first_of(class_names)}"
            f"{only_in_case(unknown, class_names, 'rename the folders')}"
        )
    return [(name, by_folder[name]) for name in folders]


def _photos(folder: Path) -> list[str]:
    listing = list_photos(folder)
    # Unreadable photos are included: the decoder reports what is wrong with them.
    return [photo.path for photo in listing.photos] + [left.path for left in listing.skipped if left.looks_like_photo]
