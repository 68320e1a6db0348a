"""Pack labeled photos into a bundle, with which a board tests its installation."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.data.class_names import class_folders
from pipeline.data.scan import NO_CLASS, TEST, scan
from pipeline.deploy.bundle.card import Acceptance
from pipeline.errors import BundleBuildError
from pipeline.system.quiet import load_classifier
from runtime.acceptance import LabeledPhoto, count_correct, folder_name
from runtime.text import first_of, plural

ACCEPTANCE = "acceptance"
MAX_PHOTOS, MAX_BYTES = 200, 20_000_000
MAX_FOLDER_NAME = 80
"""Longer names do not fit into the archive's headers."""
NOT_ON_BOARDS = (".heic", ".heif", ".hif")


def bring(folder: Path, stage: Path, models: Sequence[str]) -> Acceptance:
    """Copy labeled photos into ``stage/acceptance``, and classify them with each model of ``stage/models``.

    Args:
        folder: has a folder of photos for each class; if it is divided into parts, only ``test/`` is used.
        stage: folder of the bundle, with its models.
        models: names of the model files.

    Raises:
        BundleBuildError: there are no photos, more than ``MAX_PHOTOS``, more than ``MAX_BYTES``, or one cannot be read.
        DataError: the folder does not exist, or its classes are not the model's.
    """
    photos: list[LabeledPhoto] = []
    correct: dict[str, int] = {}
    for name in models:
        with load_classifier(stage / "models" / name) as classifier:
            photos = photos or _labeled(folder, classifier.spec.class_names)
            found = count_correct(classifier, photos)
        if found.unreadable:
            raise BundleBuildError(
                f"{folder}: {len(found.unreadable)} of {plural(found.photos, 'photo')} cannot be read, the first: "
                f"{found.unreadable[0]}; repair or remove them"
            )
        correct[name] = found.correct
    _copy(photos, stage / ACCEPTANCE)
    return Acceptance(len(photos), correct)


def _labeled(folder: Path, class_names: tuple[str, ...]) -> list[LabeledPhoto]:
    listing = scan(folder, known=class_names)
    lost = [left.path for left in listing.skipped if left.looks_like_photo or left.kind == NO_CLASS]
    lost += [file.path for file in listing.files if file.path.lower().endswith(NOT_ON_BOARDS)]
    if lost:
        raise BundleBuildError(
            f"{folder}: {first_of(lost)} cannot go into a bundle: expected JPEG, PNG or other photos that a board "
            "reads, each in the folder of its class"
        )
    files = [file for file in listing.files if file.part in {"", TEST}]
    size = sum(file.size for file in files)
    if not 0 < len(files) <= MAX_PHOTOS or size > MAX_BYTES:
        raise BundleBuildError(
            f"{folder}: {plural(len(files), 'photo')} of {size / 1e6:.1f} MB; expected 1 to {MAX_PHOTOS} photos of "
            f"{MAX_BYTES / 1e6:.0f} MB at most: choose some of each class"
        )
    labels = class_folders(class_names)
    return [LabeledPhoto(str(folder / file.path), class_names[labels[file.class_name]]) for file in files]


def _copy(photos: Sequence[LabeledPhoto], folder: Path) -> None:
    """Copy photos to ``CLASS/0001.jpg`` and so on, because the archive does not allow every file name."""
    numbers = Counter[str]()
    for photo in photos:
        place = folder_name(photo.class_name)
        if len(place) > MAX_FOLDER_NAME:
            raise BundleBuildError(
                f"the class {photo.class_name!r} needs {len(place)} characters as a folder name in a bundle, "
                f"{MAX_FOLDER_NAME} are allowed: leave its photos out of --acceptance"
            )
        numbers[place] += 1
        target = folder / place / f"{numbers[place]:04}{Path(photo.path).suffix.lower()}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photo.path, target)
