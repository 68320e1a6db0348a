"""Check each file of an unpacked bundle against ``SHA256SUMS``."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import DirEntry, scandir
from pathlib import Path, PurePosixPath

from runtime.errors import BundleError
from runtime.system.files import open_regular, read_regular
from runtime.text import for_terminal

SUMS, SIGNATURE, DESCRIPTION, NEXT_KEY = "SHA256SUMS", "model.sig", "bundle.json", "next-key.pub"
MAX_BYTES = 1 << 30
"""The most that all files of a bundle may hold together; install.sh has the same bound."""
MAX_FILES = 10_000
MAX_DEPTH = 8
"""The most folders inside each other; a bundle has one."""
MAX_TEXT_BYTES = 1 << 20
"""The most that the list of digests, the description, the signature or a key may hold."""
SHOWN = 5
"""Files of each kind of trouble that a message names."""
SHOWN_CHARACTERS = 80
"""The most characters of an unusual name that a message shows."""

_PLAIN_NAME = r"[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*"
_LINE = re.compile(rf"([0-9a-f]{{64}})  ({_PLAIN_NAME})")


@dataclass(frozen=True)
class _Contents:
    """What lies in a folder and below, by paths relative to it."""

    files: dict[str, int]
    """Regular files and how many bytes each holds."""
    folders: set[str]
    others: set[str]
    """Links, pipes, sockets and devices."""

    def __len__(self) -> int:
        return len(self.files) + len(self.folders) + len(self.others)


def check_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file but the signature, by name; all are as ``SHA256SUMS`` lists them.

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
    """Look at everything in a folder without opening a file or following a link."""
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
    """The digests of ``SHA256SUMS`` by name; its lines end as sha256sum ends them."""
    lines = read(folder / SUMS).decode(errors="replace").removesuffix("\n").split("\n")
    digests: dict[str, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        plain = match and not {".", ".."} & set(match[2].split("/")) and match[2] not in {SUMS, SIGNATURE}
        if not match or not plain or match[2] in digests:
            raise BundleError(
                f"{for_terminal(str(folder / SUMS))}: expected a SHA-256 and a plain relative path a line, each once, "
                f"got {line[:120]!a}: build the bundle anew"
            )
        digests[match[2]] = match[1]
    return digests


def refuse(folder: Path, troubles: dict[str, set[str]]) -> None:
    """Raise a ``BundleError`` that names the files of each kind of trouble, if there are any."""
    faults = [
        f"{trouble}: {', '.join(map(_quoted, sorted(names)[:SHOWN]))}{', …' if len(names) > SHOWN else ''}"
        for trouble, names in troubles.items()
        if names
    ]
    if faults:
        raise BundleError(
            f"{for_terminal(str(folder))} is not as it was built: {'; '.join(faults)}. "
            "Copy it again, or do not trust it"
        )


def _quoted(name: str) -> str:
    """A name as bundles have them as it is, any other in quotes, escaped and cut."""
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
        raise BundleError(f"{for_terminal(str(path))}: grows while it is read; expected a file that nobody writes")
    return digest.hexdigest()


def read(path: Path) -> bytes:
    """A file of a bundle that is read whole.

    Raises:
        BundleError: it is missing, not a regular file, or larger than ``MAX_TEXT_BYTES``.
    """
    try:
        return read_regular(path, MAX_TEXT_BYTES)
    except OSError as error:
        raise BundleError(
            f"{for_terminal(str(path))}: {error.strerror}; expected a file of an unpacked bundle"
        ) from error
