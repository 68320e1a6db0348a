"""List the files of a folder of photos with their classes, without decoding them."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.data import class_names
from pipeline.errors import ClassesError, DataError
from runtime.photo_files import LINKED, UNREADABLE, SkippedEntry, is_hidden, list_photos
from runtime.spec import NONE_CLASS
from runtime.text import first_of, for_terminal, only_in_case

TRAINING, VALIDATION, TEST = "train", "val", "test"
SPLIT_FOLDERS = {"train": TRAINING, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}

NO_CLASS = "in no class folder"
SEARCHED_LEVELS = 3
"""In a folder without classes, folders with classes are searched down to this many levels, for a suggestion."""
SUGGESTED = 3
"""At most this many of them are suggested."""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """One file of the folder.

    Attributes:
        path: relative to the scanned folder, with slashes.
        part: ``train``, ``val`` or ``test`` if the folder is divided into these, else empty.
        class_name: name of the class folder that contains the file.
        size: in bytes.
        modified_ns: time of the last change in nanoseconds.
    """

    path: str
    part: str
    class_name: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class Listing:
    """The content of a folder.

    Attributes:
        files: in the order of their paths.
        class_names: in alphabetical order.
        parts: the parts ``train``, ``val`` and ``test`` that the folder has; one empty name if it has none.
        skipped: all other files in it; their paths are also relative to the folder.
        hint: a suggestion of another folder that the user may have meant; usually empty.
    """

    files: tuple[PhotoFile, ...]
    class_names: tuple[str, ...]
    parts: tuple[str, ...]
    skipped: tuple[SkippedEntry, ...]
    hint: str = ""


def scan(root: Path, rest: Path | None = None, known: tuple[str, ...] | None = None) -> Listing:
    """List a folder of photos with a folder for each class, optionally inside ``train/``, ``val/`` and ``test/``.

    Class folders may have subfolders of any depth and contain links. ``runtime.photo_files`` decides which files are
    photos.

    Args:
        root: the folder.
        rest: a folder of photos of none of the classes, which become the class ``none``.
        known: the classes of a model; a class may have no folder, and folder names may differ only in case if the class
            names do.

    Raises:
        DataError: the folder does not exist or cannot be read.
        ClassesError: there are fewer than two classes, the class folders are divided into parts themselves, a folder is
            not a class in ``known``, or two folder names differ only in case or Unicode form.
    """
    check_folder(root)
    files: list[PhotoFile] = []
    skipped: list[SkippedEntry] = []
    folders: dict[str, str] = {}
    parts = _parts(root, judges=known is not None)
    for part, top in parts:
        beside = list_photos(top, deep=False)
        if any(left.kind == UNREADABLE and left.path == str(top) for left in beside.skipped):
            raise DataError(f"{top}: {beside.skipped[0].reason}; let this user read it")
        skipped += (_below(root, left) for left in beside.skipped)
        skipped += (
            _below(root, SkippedEntry(photo.path, NO_CLASS, "lies in no class folder")) for photo in beside.photos
        )
        for folder in _folders(top):
            place = folder.relative_to(root).as_posix()
            folders[place] = _class_name(place)
            found = list_photos(folder)
            files += (
                PhotoFile(_relative(root, photo.path), part, folders[place], photo.size, photo.modified_ns)
                for photo in found.photos
            )
            skipped += (_below(root, left) for left in found.skipped)
    if rest:
        others, unusable = _others(rest, [part for part, _ in parts])
        files, skipped = [*files, *others], [*skipped, *unusable]
    names = tuple(sorted({*folders.values(), *([NONE_CLASS] if rest else [])}))
    if known is None:
        _check_classes(root, folders, names)
    else:
        _check_known(root, names, known)
    return Listing(
        tuple(sorted(files, key=lambda file: file.path)),
        names,
        tuple(part for part, _ in parts),
        tuple(skipped),
        _hint(root, files, folders),
    )


def check_folder(root: Path) -> None:
    """Refuse a folder of photos that is missing, or is a file.

    Raises:
        DataError: it is no folder.
    """
    check_is_folder(root, "one with a folder of photos for each class")


def check_is_folder(path: Path, expected: str) -> None:
    """Refuse a path at which there is nothing, or a file.

    Raises:
        DataError: it is no folder; the message ends in ``expected``, what should be there.
    """
    if not path.is_dir():
        raise DataError(f"{path}: {'not a folder' if path.exists() else 'no such folder'}; expected {expected}")


def _others(folder: Path, parts: list[str]) -> tuple[list[PhotoFile], Sequence[SkippedEntry]]:
    """List photos of the class ``none`` with absolute paths; if there is a validation part, a tenth goes there."""
    check_is_folder(folder, "photos of anything that is none of the classes")
    found = list_photos(folder.resolve())
    photos = sorted(found.photos, key=lambda photo: hashlib.blake2b(os.fsencode(photo.path)).digest())
    validating = max(len(photos) // 10, 1) if VALIDATION in parts else 0
    training = parts[0] if len(parts) == 1 else TRAINING
    return [
        PhotoFile(photo.path, VALIDATION if at < validating else training, NONE_CLASS, photo.size, photo.modified_ns)
        for at, photo in enumerate(photos)
    ], found.skipped


def _relative(root: Path, path: str) -> str:
    return Path(path).relative_to(root).as_posix()


def _below(root: Path, left: SkippedEntry) -> SkippedEntry:
    reason = "a link back to a folder above it" if left.kind == LINKED and _leads_up(Path(left.path)) else left.reason
    return SkippedEntry(_relative(root, left.path), left.kind, reason)


def _leads_up(link: Path) -> bool:
    return link.parent.resolve().is_relative_to(link.resolve())


def _parts(root: Path, *, judges: bool) -> list[tuple[str, Path]]:
    """Return the folders that contain the class folders, each with its part of the data.

    ``judges``: whether a model is judged on the photos, for which ``test/`` alone is enough.
    """
    if not is_divided(root) and not (judges and [folder.name.lower() for folder in _folders(root)] == [TEST]):
        return [("", root)]
    parts = [(SPLIT_FOLDERS[folder.name.lower()], folder) for folder in _folders(root)]
    if len(parts) > len({part for part, _ in parts}):
        names = ", ".join(folder.name for _, folder in parts)
        raise DataError(f"{root}: more than one validation folder ({names}); keep one of them")
    return parts


def training_folder(root: Path) -> Path:
    """Return the folder that contains the class folders: ``train/`` of a divided folder, else the folder itself."""
    if not is_divided(root):
        return root
    return next(folder for folder in _folders(root) if folder.name.lower() == TRAINING)


def is_divided(folder: Path) -> bool:
    """Return whether a folder contains ``train/`` and no other folders but ``val/`` and ``test/``."""
    names = {each.name.lower() for each in _folders(folder)}
    return TRAINING in names and names <= set(SPLIT_FOLDERS)


def _folders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder; none if it cannot be read, which ``list_photos`` reports."""
    try:
        with os.scandir(folder) as entries:
            return sorted(folder / entry.name for entry in entries if not is_hidden(entry.name) and entry.is_dir())
    except OSError:
        return []


def _class_name(folder: str) -> str:
    name = unicodedata.normalize("NFC", folder.rpartition("/")[2])
    fault = class_names.fault([name])
    if fault:
        raise ClassesError(f"{for_terminal(folder)}: the folder's name {fault}")
    return name


def _check_classes(root: Path, folders: dict[str, str], names: tuple[str, ...]) -> None:
    taken: dict[str, str] = {}
    for name in names:
        other = taken.setdefault(name.casefold(), name)
        if other != name:
            raise ClassesError(f"{root}: the class folders {other!r} and {name!r} differ in case alone; rename one")
    places: dict[tuple[str, str], str] = {}
    for folder, name in folders.items():
        other = places.setdefault((folder.rpartition("/")[0], name), folder)
        if other != folder:
            raise ClassesError(f"{root}: two folders carry the class name {name!r} in different bytes; rename one")
    if len(names) < 2:
        found = f"the one class {names[0]!r}" if names else "no folder"
        raise ClassesError(
            f"{root}: need a folder of photos for each of at least two classes, found {found}"
            f"{_question(root) or _flat(root, 'make a folder for each class and move them there')}"
        )
    if any(is_divided(root / folder) for folder in folders):
        raise ClassesError(
            f"{root}: holds folders that are divided into train and val, and so no classes{_question(root)}"
        )


def _check_known(root: Path, names: tuple[str, ...], known: tuple[str, ...]) -> None:
    places = class_names.class_folders(known)
    unknown = [name for name in names if name not in places]
    if unknown:
        raise ClassesError(
            f"{root}: {len(unknown)} of {len(names)} folders are named as no class of the model: {first_of(unknown)}; "
            f"its classes are {first_of(list(places))}"
            f"{only_in_case(unknown, places, 'rename the folders, or the classes in the file of --classes')}"
        )
    if not names:
        flat = _flat(root, "give them to export with --calibration, to verify with --photos, instead of --data")
        raise ClassesError(
            f"{root}: need a folder of photos for each class to judge on, found none"
            f"{_question(root, is_class=root.resolve().name in places) or flat}"
        )


def _question(root: Path, *, is_class: bool = True) -> str:
    """Suggest folders that have class folders: the nearest below ``root``, or its parent; empty if there are none.

    ``is_class``: whether ``root`` may be a class folder itself.
    """
    level, found = [root], list[Path]()
    for _ in range(SEARCHED_LEVELS):
        level = [folder for above in level for folder in _folders(above)]
        found = found or [folder for folder in level if _has_classes(folder)]
    if not found and is_class and list_photos(root, deep=False).photos and _has_classes(root.resolve().parent):
        found = [root.resolve().parent]
    return f"; did you mean {' or '.join(map(str, found[:SUGGESTED]))}?" if found else ""


def _flat(root: Path, remedy: str) -> str:
    """Advise on photos that lie in ``root`` itself, outside class folders; empty if there are none."""
    count = len(list_photos(root, deep=False).photos)
    return f"; {count} photo{'s' * (count > 1)} in it have no label: {remedy}" if count else ""


def _has_classes(folder: Path) -> bool:
    if is_divided(folder):
        return True
    with_photos = (each for each in _folders(folder) if list_photos(each, deep=False).photos)
    return len(list(islice(with_photos, 2))) == 2


def _hint(root: Path, files: Iterable[PhotoFile], folders: Iterable[str]) -> str:
    """Suggest a class folder as root, if all class folders look like roots themselves: photos only in subfolders."""
    holders = {file.path.rpartition("/")[0] for file in files}
    if not holders.isdisjoint(folders) or not all(_has_classes(root / folder) for folder in folders):
        return ""
    return f"{root}: no photo lies in a class folder itself, only deeper; did you mean {root / min(folders)}?"
