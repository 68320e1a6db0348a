"""A folder of photos -> the list of its files, each with its class; nothing is opened yet."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ClassesError, DataError

TRAINING, VALIDATION, TEST = "train", "val", "test"
SPLIT_FOLDERS = {"train": TRAINING, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}

DROPPINGS = frozenset({"thumbs.db", "desktop.ini", "__macosx", "@eadir"})
"""What operating systems leave in folders of photos; as hidden as names with a dot in front."""


@dataclass(frozen=True)
class PhotoFile:
    """One file of the folder.

    Attributes:
        path: below the scanned folder, with slashes.
        part: ``train``, ``val`` or ``test`` where the folder is divided so, else empty.
        class_name: the class folder that the file lies in.
        size: in bytes.
        modified_ns: time of the last change.
    """

    path: str
    part: str
    class_name: str
    size: int
    modified_ns: int


@dataclass(frozen=True)
class LeftOut:
    """A file that gives no image, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.reason}"


@dataclass(frozen=True)
class Listing:
    """What a folder holds.

    Attributes:
        files: in the order of their paths.
        class_names: in alphabetical order.
        parts: those that the folder itself is divided into; one empty name where it is not.
        left_out: what is no file that could be opened.
    """

    files: tuple[PhotoFile, ...]
    class_names: tuple[str, ...]
    parts: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def printable(name: str) -> str:
    """A file name as text that every terminal takes, whatever its bytes."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def scan(root: Path) -> Listing:
    """List a folder of photos: a folder a class, or ``train/`` and ``val/`` (and ``test/``) above them.

    Class folders may be nested to any depth and hold links; what is hidden is passed over.

    Raises:
        DataError: no such folder.
        ClassesError: fewer than two classes, or two class folders with the same name but for case and accents' form.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; expected one with a folder of photos for each class")
    files: list[PhotoFile] = []
    left_out: list[LeftOut] = []
    folders: dict[str, str] = {}
    parts = _parts(root)
    for part, top in parts:
        for entry in _visible(top):
            below = Path(entry.path).relative_to(root).as_posix()
            if not entry.is_dir():
                left_out.append(LeftOut(below, "lies in no class folder"))
                continue
            name = _class_name(below)
            folders[below] = name
            for found in _walk(Path(entry.path)):
                path = Path(found.path).relative_to(root).as_posix()
                facts = _facts(found)
                if isinstance(facts, str):
                    left_out.append(LeftOut(path, facts))
                else:
                    files.append(PhotoFile(path, part, name, facts.st_size, facts.st_mtime_ns))
    names = tuple(sorted(set(folders.values())))
    _check_classes(root, folders, names)
    return Listing(
        tuple(sorted(files, key=lambda file: file.path)), names, tuple(part for part, _ in parts), tuple(left_out)
    )


def _parts(root: Path) -> list[tuple[str, Path]]:
    """The folders that hold the class folders, with the part of the data that each is."""
    folders = {entry.name.lower(): Path(entry.path) for entry in _visible(root) if entry.is_dir()}
    if TRAINING in folders and set(folders) <= set(SPLIT_FOLDERS):
        parts = [(SPLIT_FOLDERS[name], path) for name, path in sorted(folders.items())]
        if len(parts) > len({part for part, _ in parts}):
            raise DataError(f"{root}: more than one validation folder ({', '.join(sorted(folders))}); keep one of them")
        return parts
    return [("", root)]


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if entry.name[0] != "." and entry.name.lower() not in DROPPINGS]
    return sorted(shown, key=lambda entry: entry.name)


@dataclass(frozen=True)
class _Dead:
    """A folder that cannot be entered, in the place of its entries."""

    path: str
    reason: str


def _walk(top: Path) -> Iterator["os.DirEntry[str] | _Dead"]:
    """All files below ``top``, links followed; a link back to a folder above it is dead."""
    pending: list[tuple[Path, frozenset[tuple[int, int]]]] = [(top, frozenset())]
    while pending:
        folder, above = pending.pop()
        try:
            facts = folder.stat()
            identity = (facts.st_dev, facts.st_ino)
            if identity in above:
                yield _Dead(str(folder), "a link back to a folder above it")
                continue
            entries = _visible(folder)
        except OSError as error:
            yield _Dead(str(folder), f"folder cannot be read ({error.strerror})")
            continue
        for entry in entries:
            if entry.is_dir():
                pending.append((Path(entry.path), above | {identity}))
            else:
                yield entry


def _facts(found: "os.DirEntry[str] | _Dead") -> os.stat_result | str:
    """Size and time of a regular file, or why it is none."""
    if isinstance(found, _Dead):
        return found.reason
    try:
        facts = found.stat()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return facts if stat.S_ISREG(facts.st_mode) else "no regular file"


def _class_name(folder: str) -> str:
    name = unicodedata.normalize("NFC", folder.rpartition("/")[2])
    if not name.isprintable() or name != name.strip():
        raise ClassesError(
            f"{printable(folder)}: a class cannot be named so (outer blanks, control characters or broken UTF-8); "
            "rename the folder"
        )
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
        raise ClassesError(
            f"{root}: need a folder of photos for each of at least two classes, found "
            + (f"the one class {names[0]!r}" if names else "no folder")
        )
