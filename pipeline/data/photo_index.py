"""The index of decoded photos: a JSON object with the decoder and the file of pixels, then a JSON line for each photo.

It is read and written line by line: the whole index of 100,000 photos would need more memory than everything else that
is kept about them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data.scan import PhotoFile
from runtime.errors import ImageError

DIGEST_BYTES = 32
BEGIN, END = b'"rows": {\n', b"}}\n"
"""What stands before the rows and behind them."""

Header = dict[str, Any]


@dataclass
class Store:
    """The content of one place in the cache.

    Attributes:
        pixels: uint8 (M, H, W, 3), memory-mapped.
        digests: SHA-256 of each image, 32 bytes each.
        rows: path -> index of its image.
        failures: path -> reason, for each file that is not an image.
        passing: errors that may not occur again, such as missing permissions; they are not written to the index.
    """

    pixels: NDArray[np.uint8]
    digests: bytes | bytearray
    rows: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    passing: dict[str, ImageError] = field(default_factory=dict)

    def knows(self, file: PhotoFile) -> bool:
        """Return whether the file was decoded, or failed to decode."""
        return file.path in self.rows or file.path in self.failures


def take(store: Store, index: Header, entries: Iterable[tuple[str, Any]], files: Iterable[PhotoFile]) -> int:
    """Add the unchanged files of an index to the store, and return the number of those whose image is damaged."""
    wanted, damaged = {file.path: file for file in files}, 0
    for identity, why in index["failures"].items():
        if file := _unchanged(identity, wanted):
            store.failures[file.path] = str(why)
    for identity, (place, digest) in entries:
        if file := _unchanged(identity, wanted):
            row = int(place)
            there = 0 <= row < len(store.digests) // DIGEST_BYTES
            if there and digest_at(store.digests, row).hex() == digest:
                store.rows[file.path] = row
            else:
                damaged += 1
    return damaged


def _identity(file: PhotoFile) -> str:
    """Return a text that changes with the file."""
    return f"{file.size}:{file.modified_ns}:{file.path}"


def _unchanged(identity: str, wanted: Mapping[str, PhotoFile]) -> PhotoFile | None:
    file = wanted.get(identity.split(":", 2)[2])
    return file if file and _identity(file) == identity else None


def read(lines: Iterator[bytes]) -> tuple[Header, Iterable[tuple[str, Any]]]:
    """Read an index as ``write`` writes it, or any JSON with the same content.

    Returns:
        the index without its rows; and the rows, read one by one: identity of a file -> index and digest of its image.
    """
    first = next(lines, b"")
    if first.endswith(BEGIN):
        return json.loads(first + END), _entries(lines)
    index = json.loads(first + b"".join(lines))
    return index, index["rows"].items()


def _entries(lines: Iterator[bytes]) -> Iterator[tuple[str, Any]]:
    for line in lines:
        if line == END:
            return
        yield from json.loads(b"{" + line.rstrip(b",\n") + b"}").items()
    raise ValueError("it ends too early")


def write(path: Path, about: Header, files: Iterable[PhotoFile], store: Store) -> None:
    """Write an index of what the store knows of these files, atomically."""
    files = list(files)
    failures = {_identity(file): store.failures[file.path] for file in files if file.path in store.failures}
    with artifacts.atomic_path(path) as temporary, temporary.open("wb") as out:
        out.write(json.dumps({**about, "failures": failures, "rows": {}}).encode().removesuffix(b"}}") + b"\n")
        between = b""
        for file in files:
            if file.path in store.rows:
                row = store.rows[file.path]
                entry = {_identity(file): [row, digest_at(store.digests, row).hex()]}
                out.write(between + json.dumps(entry).encode()[1:-1])
                between = b",\n"
        out.write(b"\n" + END)


def digest_at(digests: bytes | bytearray, row: int) -> bytes:
    """Return the SHA-256 of an image."""
    return bytes(digests[row * DIGEST_BYTES : (row + 1) * DIGEST_BYTES])
