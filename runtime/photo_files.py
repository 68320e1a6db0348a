"""Decide which files of a folder are photos: one rule for ``classify``, ``watch`` and all of ``pipeline``.

- Hidden files are skipped: names that begin with a dot (also ``._*`` of macOS) and files that operating systems create
  (``Thumbs.db`` …). Hidden folders are not entered.
- A photo is a regular file with an image extension in any case (``a.jpg``, ``A.JPG``), or without an extension if its
  first bytes are those of an image. Whether it can be decoded is not checked here.
- Symbolic links are followed. A folder is listed once, even if several links lead to it.
- Skipped entries are returned with the kind of reason; ``tally`` counts them in one line.
"""

import functools
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from runtime.image.decode import begins_as_image
from runtime.system.files import open_regular
from runtime.text import first_of, for_terminal

EXTENSIONS = frozenset(
    "." + name
    for name in "jpg jpeg jpe jfif png webp gif bmp tif tiff avif heic heif hif ppm pgm pbm".split()  # noqa: SIM905
)
LEFT_BY_SYSTEMS = frozenset({
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle",
    "$recycle.bin", "system volume information", "lost+found", "lost.dir",
})  # fmt: skip
"""Names of files and folders that operating systems and network storage create, in lower case."""

UNREADABLE, HEIC, HIDDEN, LINKED, OTHER = "unreadable", "HEIC", "hidden", "linked twice", "other"
HEAD_BYTES = 64


class Photo(NamedTuple):
    """A regular file that is taken for a photo.

    Attributes:
        path: path below the folder, with the folder as given in front.
        size: in bytes.
        modified_ns: modification time in nanoseconds since 1970.
    """

    path: str
    size: int
    modified_ns: int


class SkippedEntry(NamedTuple):
    """An entry of a folder that is skipped, and why.

    Attributes:
        path: as in ``Photo``.
        kind: a word for the tally, such as ``HIDDEN``.
        reason: the operating system's message, or what to do about it.
    """

    path: str
    kind: str
    reason: str = ""

    @property
    def looks_like_photo(self) -> bool:
        """Whether the entry is probably a photo that cannot be read."""
        return self.kind in {UNREADABLE, HEIC}

    def __str__(self) -> str:
        return for_terminal(f"{self.path}: {self.reason or self.kind}")


class Listing(NamedTuple):
    """The photos and the skipped entries of a folder, both sorted by path."""

    photos: list[Photo]
    skipped: list[SkippedEntry]


def list_photos(folder: str | os.PathLike[str], *, deep: bool = True) -> Listing:
    """List the photos of a folder.

    Args:
        folder: the folder; it is listed even if its own name is hidden.
        deep: include all subfolders; otherwise they are ignored.
    """
    photos: list[Photo] = []
    skipped: list[SkippedEntry] = []
    listed: set[tuple[int, int]] = set()
    folders, links = [str(Path(folder))], list[str]()
    while folders or links:
        place = folders.pop() if folders else links.pop()  # links last: a folder is listed by its own path if possible
        try:
            status = os.stat(place)
            if (status.st_dev, status.st_ino) in listed:
                skipped.append(SkippedEntry(place, LINKED, "a link to a folder that is listed already"))
                continue
            listed.add((status.st_dev, status.st_ino))
            with os.scandir(place) as entries:
                found = sorted(entries, key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            skipped.append(SkippedEntry(place, UNREADABLE, f"folder cannot be read ({error.strerror})"))
            continue
        for entry in found:
            what = _look(entry)
            if isinstance(what, Photo):
                photos.append(what)
            elif isinstance(what, SkippedEntry):
                skipped.append(what)
            elif deep:
                (links if entry.is_symlink() else folders).append(what)
    return Listing(sorted(photos), sorted(skipped))


def tally(skipped: Iterable[SkippedEntry], folder: str | os.PathLike[str] = "") -> str:
    """Say in one line how many entries of each kind were skipped; empty if none were.

    The arguments are those of ``counted``.
    """
    found = counted(skipped, folder)
    return f"left out: {found}" if found else ""


def counted(skipped: Iterable[SkippedEntry], folder: str | os.PathLike[str] = "") -> str:
    """Say how many entries of each kind there are; empty if there are none.

    Args:
        skipped: the skipped entries. The kinds of this module except ``HIDDEN`` are followed by the names.
        folder: prefix to remove from the listed paths.
    """
    kinds: dict[str, list[SkippedEntry]] = {}
    for left in skipped:
        kinds.setdefault(left.kind, []).append(left)
    first = (UNREADABLE, HEIC, HIDDEN)
    order = sorted(kinds, key=lambda kind: (first.index(kind) if kind in first else len(first), kind))
    return ", ".join(f"{len(kinds[kind])} {kind}{_names(kind, kinds[kind], folder)}" for kind in order)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder of this name is skipped."""
    return name.startswith(".") or name.lower() in LEFT_BY_SYSTEMS


def _look(entry: "os.DirEntry[str]") -> Photo | SkippedEntry | str:
    """Classify an entry: a photo, a skipped entry, or the path of a folder."""
    path = entry.path.removeprefix(f".{os.sep}")
    if is_hidden(entry.name):
        return SkippedEntry(path, HIDDEN)
    extension = os.path.splitext(entry.name)[1].lower()
    named = extension in EXTENSIONS
    try:
        status = entry.stat()
        if stat.S_ISDIR(status.st_mode):
            return path
        if named and not stat.S_ISREG(status.st_mode):
            open_regular(path).close()  # raises an error that says what kind of file it is
        may_be = named or (extension in {"", "."} and stat.S_ISREG(status.st_mode))
        if not may_be or not (named or _begins_as_image(path, status.st_mtime_ns, status.st_size)):
            return SkippedEntry(path, OTHER)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError) and not named
        return SkippedEntry(path, OTHER if gone else UNREADABLE, error.strerror or "")
    return Photo(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _begins_as_image(path: str, _modified_ns: int, _size: int) -> bool:
    """Check a file's first bytes; cached until the file changes, since ``watch`` lists its folder every second."""
    with open_regular(path) as file:
        return begins_as_image(file.read(HEAD_BYTES))


def _names(kind: str, skipped: list[SkippedEntry], folder: str | os.PathLike[str]) -> str:
    """List the first paths in parentheses and, for HEIC, the remedy."""
    if kind not in {UNREADABLE, HEIC, LINKED, OTHER}:
        return ""
    prefix = os.path.join(folder, "") if os.fspath(folder) else ""
    names = first_of([left.path.removeprefix(prefix) for left in skipped])
    remedy = f": {skipped[0].reason}" if kind == HEIC else ""
    return f" ({names}{remedy})"
