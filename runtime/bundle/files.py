"""Check each file of an unpacked bundle against ``SHA256SUMS``."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import DirEntry, scandir
from pathlib import Path, PurePosixPath

from runtime.errors import BundleError
from runtime.system.files import open_regular, read_regular
from runtime.text import first_of, for_terminal

SUMS, SIGNATURE, DESCRIPTION, NEXT_KEY = "SHA256SUMS", "model.sig", "bundle.json", "next-key.pub"
MAX_BYTES = 1 << 30
"""Largest total size of a bundle's files; install.sh has the same limit."""
MAX_FILES = 10_000
MAX_DEPTH = 8
"""Deepest nesting of folders; a bundle has one level."""
MAX_TEXT_BYTES = 1 << 20
"""Largest size of the list of digests, the description, the signature or a key."""
SHOWN_CHARACTERS = 80
"""Number of characters of an unusual name that a message shows."""

_PLAIN_NAME = r"[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*"
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_PLAIN_NAME})")


@dataclass(frozen=True)
class _Contents:
    """The entries of a folder and its subfolders, by relative paths."""

    files: dict[str, int]
    """Regular files and their sizes in bytes."""
    folders: set[str]
    others: set[str]
    """Links, pipes, sockets and devices."""

    def __len__(self) -> int:
        return len(self.files) + len(self.folders) + len(self.others)


def check_files(folder: Path) -> dict[str, str]:
    """Check all files against ``SHA256SUMS``; return the SHA-256 of each except the signature, by name.

    Raises:
        BundleError: a file was changed, is missing or was added.
    """
    found = _contents(folder)
    listed = _listed(folder)
    needed_folders = {str(parent) for name in listed for parent in PurePosixPath(name).parents}
    here = {name: _sha256(folder / name) for name in sorted(found.files.keys() - {SIGNATURE})}
    troubles = {
        "not a regular file": found.others,
        "missing": listed.keys() - here.keys() - found.others,
        "added": (here.keys() - listed.keys() - {SUMS}) | (found.folders - needed_folders),
        "changed": {name for name in listed if here.get(name, listed[name]) != listed[name]},
    }
    refuse(folder, troubles)
    return here


def _contents(folder: Path) -> _Contents:
    """List everything in a folder without opening a file or following a link.

    Raises:
        BundleError: too many files, too deep folders, or too many bytes.
    """
    found = _Contents({}, set(), set())
    waiting = [""]
    while waiting:
        above = waiting.pop()
        for entry in _entries(folder / above):
            name = above + entry.name
            if entry.is_dir(follow_symlinks=False):
                found.folders.add(name)
                waiting.append(f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                found.files[name] = entry.stat(follow_symlinks=False).st_size
            else:
                found.others.add(name)
            if len(found) > MAX_FILES or name.count("/") > MAX_DEPTH:
                raise BundleError(
                    f"{for_terminal(str(folder))}: more than {MAX_FILES:,} files, or folders nested deeper than "
                    f"{MAX_DEPTH}; expected the folder that a bundle unpacks to"
                )
    total = sum(found.files.values())
    if total > MAX_BYTES:
        largest = max(found.files, key=found.files.__getitem__)
        raise BundleError(
            f"{for_terminal(str(folder))}: its files hold {total:,} bytes, {found.files[largest]:,} of them "
            f"{_quoted(largest)}; expected no more than {MAX_BYTES:,} together: build it with fewer files, or do not "
            "trust it"
        )
    return found


def _entries(folder: Path) -> Iterator[DirEntry[str]]:
    try:
        with scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise BundleError(
            f"{for_terminal(str(folder))}: {error.strerror}; expected the folder that a bundle unpacks to"
        ) from error


def _listed(folder: Path) -> dict[str, str]:
    """Read the digests of ``SHA256SUMS``, by name.

    Raises:
        BundleError: a line is not as the program sha256sum writes it, or a name is unusual or repeated.
    """
    lines = read(folder / SUMS).decode(errors="replace").removesuffix("\n").split("\n")
    digests: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        plain = match and not {".", ".."} & set(match[2].split("/")) and match[2] not in {SUMS, SIGNATURE}
        if not match or not plain or match[2] in digests:
            raise BundleError(
                f"{for_terminal(str(folder / SUMS))}: expected a SHA-256 and a plain relative path per line, each path "
                f"once, got {line[:120]!a}: build the bundle again"
            )
        digests[match[2]] = match[1]
    return digests


def refuse(folder: Path, troubles: dict[str, set[str]]) -> None:
    """Raise a ``BundleError`` that names the files of each kind of fault; do nothing if there are none."""
    faults = [
        f"{trouble}: {first_of([_quoted(name) for name in sorted(names)])}"
        for trouble, names in troubles.items()
        if names
    ]
    if faults:
        raise BundleError(
            f"{for_terminal(str(folder))} is not as it was built: {'; '.join(faults)}. "
            "Copy it again, or do not trust it"
        )


def _quoted(name: str) -> str:
    """Return a plain name unchanged; any other name in quotes, escaped and shortened."""
    if re.fullmatch(_PLAIN_NAME, name) and len(name) <= SHOWN_CHARACTERS:
        return name
    return ascii(name[:SHOWN_CHARACTERS]) + "…" * (len(name) > SHOWN_CHARACTERS)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    left = MAX_BYTES
    try:
        with open_regular(path) as file:
            while left >= 0 and (block := file.read(1 << 20)):
                digest.update(block)
                left -= len(block)
    except OSError as error:
        raise BundleError(f"{for_terminal(str(path))}: {error.strerror}; expected a readable file") from error
    if left < 0:
        raise BundleError(f"{for_terminal(str(path))}: grows while it is read; expected a finished file")
    return digest.hexdigest()


def read(path: Path) -> bytes:
    """Read a text file of a bundle.

    Raises:
        BundleError: it is missing, not a regular file, or larger than ``MAX_TEXT_BYTES``.
    """
    try:
        return read_regular(path, MAX_TEXT_BYTES)
    except OSError as error:
        raise BundleError(
            f"{for_terminal(str(path))}: {error.strerror}; expected a file of an unpacked bundle"
        ) from error
