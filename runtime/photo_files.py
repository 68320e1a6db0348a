"""Which files of a folder are photos: the one rule of ``classify``, ``watch``, and everything that reads own photos.

- Hidden are names that begin with a dot (also ``._*`` of macOS) and what systems leave behind (``Thumbs.db`` …); hidden
  folders are not entered.
- A photo is a regular file with a name such as ``a.jpg`` or ``A.JPG``, or without an extension when it begins as an
  image does. Whether it can be decoded is for the decoder to say.
- Links are followed. A folder is listed once, however many links lead to it.
- Nothing is left out silently: what is no photo comes back with its kind, and ``tally`` puts it in one line.
"""

import functools
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from runtime.image.decode import begins_as_image
from runtime.system.files import open_regular
from runtime.text import for_terminal

EXTENSIONS = frozenset(
    "." + name
    for name in "jpg jpeg jpe jfif png webp gif bmp tif tiff avif heic heif hif ppm pgm pbm".split()  # noqa: SIM905
)
LEFT_BY_SYSTEMS = frozenset({
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle",
    "$recycle.bin", "system volume information", "lost+found", "lost.dir",
})  # fmt: skip
"""Names that operating systems and storage boxes leave in folders, in lower case."""

UNREADABLE, HEIC, HIDDEN, LINKED, OTHER = "unreadable", "HEIC", "hidden", "linked twice", "other"
HEAD_BYTES = 64
NAMES_LISTED = 10


class Photo(NamedTuple):
    """A regular file that is to be read as a photo.

    Attributes:
        path: the folder as it was given, and the place below it.
        size: in bytes.
        modified_ns: time of the last change in nanoseconds.
    """

    path: str
    size: int
    modified_ns: int


class LeftOut(NamedTuple):
    """An entry of a folder that is not read, and why.

    Attributes:
        path: as of ``Photo``.
        kind: a word for the tally, such as ``HIDDEN``.
        reason: what the system says, or what to do about it.
    """

    path: str
    kind: str
    reason: str = ""

    @property
    def looks_like_photo(self) -> bool:
        """Whether a photo may have been lost: it should be read, and cannot be."""
        return self.kind in {UNREADABLE, HEIC}

    def __str__(self) -> str:
        return for_terminal(f"{self.path}: {self.reason or self.kind}")


class Listing(NamedTuple):
    """What a folder holds, each list in the order of its paths."""

    photos: list[Photo]
    left_out: list[LeftOut]


def list_photos(folder: str | os.PathLike[str], *, deep: bool = True) -> Listing:
    """List the photos of a folder.

    Args:
        folder: which; where its own name is hidden, it is listed all the same.
        deep: also those of the folders in it, to the bottom; else these are passed over.
    """
    photos: list[Photo] = []
    left_out: list[LeftOut] = []
    listed: set[tuple[int, int]] = set()
    folders, links = [str(Path(folder))], list[str]()
    while folders or links:
        place = folders.pop() if folders else links.pop()  # links last: a folder goes by its own name where it can
        try:
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in listed:
                left_out.append(LeftOut(place, LINKED, "a link to a folder that is listed already"))
                continue
            listed.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                found = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            left_out.append(LeftOut(place, UNREADABLE, f"folder cannot be read ({error.strerror})"))
            continue
        for entry in found:
            what = _look(entry)
            if isinstance(what, Photo):
                photos.append(what)
            elif isinstance(what, LeftOut):
                left_out.append(what)
            elif deep:
                (links if entry.is_symlink() else folders).append(what)
    return Listing(sorted(photos), sorted(left_out))


def tally(left_out: Iterable[LeftOut], folder: str | os.PathLike[str] = "") -> str:
    """How many of each kind were left out, on one line for the end of a command; empty where nothing was.

    Arguments are those of ``counted``.
    """
    found = counted(left_out, folder)
    return f"left out: {found}" if found else ""


def counted(left_out: Iterable[LeftOut], folder: str | os.PathLike[str] = "") -> str:
    """How many of each kind there are; empty where there is nothing.

    Args:
        left_out: what to count. Of the kinds of this module but hidden, the first are named as well.
        folder: what the names begin with, and need not say again.
    """
    kinds: dict[str, list[LeftOut]] = {}
    for left in left_out:
        kinds.setdefault(left.kind, []).append(left)
    first = (UNREADABLE, HEIC, HIDDEN)
    order = sorted(kinds, key=lambda kind: (first.index(kind) if kind in first else len(first), kind))
    return ", ".join(f"{len(kinds[kind])} {kind}{_names(kind, kinds[kind], folder)}" for kind in order)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over."""
    return name.startswith(".") or name.lower() in LEFT_BY_SYSTEMS


def _look(entry: "os.DirEntry[str]") -> Photo | LeftOut | str:
    """What an entry is: a photo, nothing of the kind, or a folder, of which the path is given."""
    path = entry.path.removeprefix(f".{os.sep}")
    if is_hidden(entry.name):
        return LeftOut(path, HIDDEN)
    extension = os.path.splitext(entry.name)[1].lower()
    named = extension in EXTENSIONS
    try:
        status = entry.stat()
        if stat.S_ISDIR(status.st_mode):
            return path
        if named and not stat.S_ISREG(status.st_mode):
            open_regular(path).close()  # which says what it is instead
        may_be = named or (extension in {"", "."} and stat.S_ISREG(status.st_mode))
        if not may_be or not (named or _begins_as_image(path, status.st_mtime_ns, status.st_size)):
            return LeftOut(path, OTHER)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError) and not named
        return LeftOut(path, OTHER if gone else UNREADABLE, error.strerror or "")
    return Photo(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _begins_as_image(path: str, _modified_ns: int, _size: int) -> bool:
    """Look at a file's first bytes, once as long as it does not change: ``watch`` lists its folder every second."""
    with open_regular(path) as file:
        return begins_as_image(file.read(HEAD_BYTES))


def _names(kind: str, left_out: list[LeftOut], folder: str | os.PathLike[str]) -> str:
    """The first paths and, where it is the same for all, the remedy."""
    if kind not in {UNREADABLE, HEIC, LINKED, OTHER}:
        return ""
    prefix = os.path.join(folder, "") if os.fspath(folder) else ""
    names = [for_terminal(left.path.removeprefix(prefix)) for left in left_out[:NAMES_LISTED]]
    more = f" and {len(left_out) - NAMES_LISTED} more" * (len(left_out) > NAMES_LISTED)
    remedy = f": {left_out[0].reason}" if kind == HEIC else ""
    return f" ({', '.join(names)}{more}{remedy})"
