"""The index of decoded photos: a JSON object with the decoder and the file of squares, then a JSON line for each photo.

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

Header = dict[str, Any]


@dataclass
class Store:
    """The content of one place in the cache.

    Attributes:
        squares: uint8 (M, H, W, 3), memory-mapped.
        digests: SHA-256 of each square, 32 bytes each.
        rows: path -> index of its square.
        failures: path -> reason, for each file that is not an image.
        passing: errors that may not occur again, such as missing permissions; they are not written to the index.
    """

    squares: NDArray[np.uint8]
    digests: bytes | bytearray
    rows: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    passing: dict[str, ImageError] = field(default_factory=dict)

    def knows(self, file: PhotoFile) -> bool:
        """Return whether the file was decoded, or failed to decode."""
        return file.path in self.rows or file.path in self.failures


def take(store: Store, wanted: Mapping[str, PhotoFile], lines: Iterator[Any]) -> int:
    """Add the unchanged files among ``lines`` to the store, and return the number of those whose square is damaged."""
    damaged = 0
    for path, size, modified_ns, *found in lines:
        file = wanted.get(path)
        if file is None or (file.size, file.modified_ns) != (size, modified_ns):
            continue
        if len(found) == 1:
            store.failures[file.path] = str(found[0])
            continue
        row, digest = int(found[0]), str(found[1])
        there = 0 <= row < len(store.digests) // DIGEST_BYTES
        if there and digest_at(store.digests, row).hex() == digest:
            store.rows[file.path] = row
        else:
            damaged += 1
    return damaged


def write(path: Path, header: Header, files: Iterable[PhotoFile], store: Store) -> None:
    """Write the header and a line for each known file, atomically."""
    with artifacts.atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as out:
        out.write(json.dumps(header) + "\n")
        for file in files:
            found: list[int | str] = []
            if file.path in store.rows:
                row = store.rows[file.path]
                found = [row, digest_at(store.digests, row).hex()]
            elif file.path in store.failures:
                found = [store.failures[file.path]]
            if found:
                out.write(json.dumps([file.path, file.size, file.modified_ns, *found]) + "\n")


def digest_at(digests: bytes | bytearray, row: int) -> bytes:
    """Return the SHA-256 of a square."""
    return bytes(digests[row * DIGEST_BYTES : (row + 1) * DIGEST_BYTES])
