"""Own photos: folders of classes, also inside ``train/``, ``val/`` and ``test/`` -> data sets of square images.

Whatever way the data is divided, photos that are the same picture to the network (equal squares, so also copies and
files that differ in their metadata alone) stay on one side.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.class_names import class_folders
from pipeline.data.dataset import Dataset, unlabeled
from pipeline.data.division import MIN_PICTURES, draw
from pipeline.data.photo_cache import BROKEN, Decoded, decode
from pipeline.data.photo_settings import Settings
from pipeline.data.rows import copy_of, rows_of
from pipeline.data.scan import NO_CLASS, TEST, TRAINING, VALIDATION, Listing, PhotoFile, scan
from pipeline.errors import ClassesError, UnusablePhotosError
from runtime.photo_files import HEIC, HIDDEN, LINKED, OTHER, UNREADABLE, LeftOut, counted
from runtime.text import first_of, for_terminal

IN_TWO_CLASSES, COPIED = "in two classes", "copied from another part"
"""Further kinds of photos that are left out: their class is unknown, or they would leak."""
BAD = frozenset({UNREADABLE, HEIC, BROKEN, NO_CLASS, IN_TWO_CLASSES})
"""Kinds that a person has to look at, or allow to be left out."""
UNLISTED = frozenset({HEIC, HIDDEN, LINKED, OTHER})
"""Kinds that are counted, and not listed file by file."""
LISTED = 10


@dataclass(frozen=True)
class Photos:
    """A folder, divided.

    Attributes:
        training, validation: never share a picture.
        test: ``None`` unless the folder has one or a share was asked for.
        left_out: everything in the folder that is in none of them, and why.
        hint: what a person may have meant instead of this folder; mostly empty.
        folder: which.
    """

    training: Dataset
    validation: Dataset
    test: Dataset | None
    left_out: tuple[LeftOut, ...]
    hint: str
    folder: Path


def load(folder: Path, settings: Settings = Settings(), known: tuple[str, ...] | None = None) -> Photos:
    """Read, check and divide a folder of photos; the second time out of the cache.

    Args:
        folder: which.
        settings: how photos are read and divided.
        known: the classes of a model that is only judged on the photos: they give the labels, not every one needs
            photos, and one photo of a class is enough. A name that stands twice among them is not known by its name.

    Raises:
        ClassesError: the folders do not make a classification: too few classes, or too few pictures in one.
        UnusablePhotosError: photos that cannot be read, or one picture in two classes; not with ``skip_bad``.
        DataError: no such folder.
    """
    listing = scan(folder, Path(settings.none) if settings.none else None, known)
    decoded = decode(folder, listing.files, settings.spec(listing.class_names))
    files = [file for file in listing.files if file.path in decoded.rows]
    contradictions = _contradictions(files, decoded)
    left_out = (*listing.left_out, *decoded.left_out, *contradictions)
    if not settings.skip_bad:
        refuse_bad(folder, left_out, len(files) - len(contradictions))
    unusable = {left.path for left in contradictions}
    files = [file for file in files if file.path not in unusable]
    if known is None:
        _check_pictures(folder, files, listing, decoded)
    parts, copies = divide(folder, files, listing.parts, decoded, settings)
    _check_parts(folder, parts, listing.class_names if known is None else ())
    labels = class_folders(known or listing.class_names)

    def dataset(part: str) -> Dataset:
        images = images_of(parts[part], decoded, known or listing.class_names, training=part == TRAINING)
        shown = {file.path: labels[file.class_name] for file in parts[part]}
        return replace(images, labels=np.array([shown[path] for path in images.paths], np.int64), labeled=True)

    test = dataset(TEST) if TEST in parts else None
    return Photos(dataset(TRAINING), dataset(VALIDATION), test, (*left_out, *copies), listing.hint, folder)


def refuse_bad(folder: Path, left_out: Iterable[LeftOut], usable: int) -> None:
    """Raise where a photo was left out that a person has to look at; ``usable`` is how many others there are.

    Raises:
        UnusablePhotosError: photos that cannot be read, or one picture in two classes.
    """
    bad = [left for left in left_out if left.kind in BAD]
    if bad:
        raise UnusablePhotosError(
            f"{folder}: {len(bad)} of {usable + len(bad)} photos cannot be used:\n{format_left_out(bad)}\n"
            "Mend or remove them, or leave them out with --skip-bad."
        )


def format_left_out(left_out: Iterable[LeftOut]) -> str:
    """One line a file, the first of them; HEIC files, for which one remedy holds, share one."""
    left_out = list(left_out)
    single = [left for left in left_out if left.kind not in UNLISTED]
    heic = counted(left for left in left_out if left.kind == HEIC)
    lines = [str(left) for left in single[:LISTED]]
    lines += [f"… and {len(single) - LISTED} more"] * (len(single) > LISTED) + [heic] * bool(heic)
    return "\n".join(f"  {line}" for line in lines)


def class_weights(labels: NDArray[np.integer], class_count: int) -> dict[int, float]:
    """Weights that let every class count the same: mean 1 over the images (King and Zeng, 2001)."""
    counts = np.bincount(labels, minlength=class_count)
    return {label: len(labels) / (class_count * int(count)) for label, count in enumerate(counts) if count}


def _contradictions(files: Iterable[PhotoFile], decoded: Decoded) -> list[LeftOut]:
    """All files of a picture that lies in more than one class: nobody knows which is right."""
    first: dict[str, PhotoFile] = {}
    rivals: dict[str, PhotoFile] = {}
    files = list(files)
    for file in files:
        digest = decoded.rows[file.path][1]
        if first.setdefault(digest, file).class_name != file.class_name:
            rivals.setdefault(digest, file)
    contradicting = []
    for file in files:
        digest = decoded.rows[file.path][1]
        if digest in rivals:
            other = rivals[digest] if file.class_name == first[digest].class_name else first[digest]
            why = f"the same picture as {for_terminal(other.path)}, of another class"
            contradicting.append(LeftOut(file.path, IN_TWO_CLASSES, why))
    return contradicting


def _check_pictures(folder: Path, files: Iterable[PhotoFile], listing: Listing, decoded: Decoded) -> None:
    pictures = {(file.class_name, decoded.rows[file.path][1]) for file in files}
    counts = Counter(name for name, _ in pictures)
    few = [f"{name} has {counts[name]}" for name in listing.class_names if counts[name] < MIN_PICTURES]
    if few:
        raise ClassesError(
            f"{folder}: every class needs at least {MIN_PICTURES} different pictures; {', '.join(few)}. "
            "Add photos, or take the class's folder out."
        )


def divide(
    folder: Path, files: Sequence[PhotoFile], given: tuple[str, ...], decoded: Decoded, settings: Settings
) -> tuple[dict[str, list[PhotoFile]], list[LeftOut]]:
    """Files of each part, and the copies that were taken out because another part holds the picture."""
    if VALIDATION in given:
        return _apart(files, decoded)
    held_out = {VALIDATION: settings.validation_share}
    if settings.test_share and TEST not in given:
        held_out[TEST] = settings.test_share
    parts, copies = _apart(files, decoded)
    divisible = parts.pop("", None) or parts.pop(TRAINING, [])
    pictures = {file.path: decoded.rows[file.path][1] for file in divisible}
    return {**parts, **draw(folder, divisible, pictures, held_out, settings)}, copies


def _apart(files: Iterable[PhotoFile], decoded: Decoded) -> tuple[dict[str, list[PhotoFile]], list[LeftOut]]:
    """The parts that the folder gives, less the copies of what test and validation hold: these stay as they are."""
    order = (TEST, VALIDATION, TRAINING, "")
    parts: dict[str, list[PhotoFile]] = defaultdict(list)
    holders: dict[str, PhotoFile] = {}
    copies = []
    for file in sorted(files, key=lambda file: (order.index(file.part), file.path)):
        holder = holders.setdefault(decoded.rows[file.path][1], file)
        if holder.part == file.part:
            parts[file.part].append(file)
        else:
            copies.append(LeftOut(file.path, COPIED, f"the same picture as {for_terminal(holder.path)}"))
    return dict(parts), copies


def _check_parts(folder: Path, parts: dict[str, list[PhotoFile]], class_names: tuple[str, ...]) -> None:
    for part in (TRAINING, VALIDATION):
        if not class_names and not parts.get(part):
            raise ClassesError(f"{folder}: no picture for {part}; give two photos or more")
        missing = sorted(set(class_names) - {file.class_name for file in parts.get(part, [])})
        if missing:
            raise ClassesError(
                f"{folder}: no picture for {part} in the class {first_of(missing)}; give every class some in each part"
            )


def images_of(files: Sequence[PhotoFile], decoded: Decoded, class_names: tuple[str, ...], *, training: bool) -> Dataset:
    """The images of one part in the order of their paths, without labels yet.

    Those of training, which may be many, are read where they are asked for.
    """
    paths = sorted(file.path for file in files)
    take = rows_of if training else copy_of
    pixels = take(decoded.squares, [decoded.rows[path][0] for path in paths])
    return replace(unlabeled(pixels, class_names), paths=tuple(paths))
