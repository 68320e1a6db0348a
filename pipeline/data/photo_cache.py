"""Photos decoded once: the squares of all files of a folder in one memory-mapped file, beside an index.

A folder and a way of preprocessing have one place in the cache. The index knows each file by path, size and time, so
that after a change only new files are decoded. Squares and index are each replaced whole, the index last: a killed
process leaves the old pair or the new one.
"""

import inspect
import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features
from tqdm import tqdm

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data.cifar10 import cache_dir
from pipeline.data.scan import LeftOut, PhotoFile
from runtime.errors import ImageDecodeError, ImageError
from runtime.image import color, load
from runtime.image import decode as decoding
from runtime.image.load import load_square
from runtime.spec import ModelSpec

INDEX = "index.json"
SQUARES_SUFFIX = ".u8"


@dataclass(frozen=True)
class Decoded:
    """The squares of a folder.

    Attributes:
        squares: uint8 (M, S, S, 3), memory-mapped, in no particular order.
        rows: where each path's square is, and the SHA-256 of its pixels.
        left_out: files that gave no image.
    """

    squares: NDArray[np.uint8]
    rows: dict[str, tuple[int, str]]
    left_out: tuple[LeftOut, ...]


@dataclass
class _Store:
    """One place of the cache: squares, the row and digest of each known file, why others are no image."""

    squares: NDArray[np.uint8]
    rows: dict[str, tuple[int, str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def knows(self, file: PhotoFile) -> bool:
        return _identity(file) in self.rows or _identity(file) in self.failures


def decode(root: Path, files: Sequence[PhotoFile], spec: ModelSpec) -> Decoded:
    """Put every file through ``load_square``, in parallel, or take what an earlier run left.

    Interrupted by Ctrl-C, it keeps what is decoded by then.
    """
    place = cache_dir() / "photos" / _key(root, spec)
    store = _read(place, spec.side)
    if not all(map(store.knows, files)):
        store = _complete(place, root, files, spec, store)
    rows = {file.path: store.rows[_identity(file)] for file in files if _identity(file) in store.rows}
    left_out = [
        LeftOut(file.path, store.failures[_identity(file)]) for file in files if _identity(file) in store.failures
    ]
    return Decoded(store.squares, rows, tuple(left_out))


def _key(root: Path, spec: ModelSpec) -> str:
    """Everything that decides about the squares besides the files: folder, preprocessing, decoder."""
    code = "".join(inspect.getsource(module) for module in (load, decoding, color))
    decoder = (PIL.__version__, features.version("jpg"), features.version("libjpeg_turbo"))
    way = (spec.side, spec.resize, spec.resize_filter, spec.fill, decoder, sha256(code.encode()))
    return sha256(os.fsencode(root.resolve()) + repr(way).encode())[:32]


def _identity(file: PhotoFile) -> str:
    return f"{file.size}:{file.modified_ns}:{file.path}"


def _read(place: Path, side: int) -> _Store:
    """What the cache holds; nothing where it is empty or damaged."""
    try:
        index = artifacts.read_json(place / INDEX)
        rows = {name: (int(row), str(digest)) for name, (row, digest) in index["rows"].items()}
        return _Store(_map(place / index["squares"], side, len(rows)), rows, dict(index["failures"]))
    except (OSError, ValueError, KeyError, TypeError):
        return _Store(np.zeros((0, side, side, 3), np.uint8))


def _map(path: Path, side: int, count: int) -> NDArray[np.uint8]:
    if not count:
        return np.zeros((0, side, side, 3), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(count, side, side, 3))  # ValueError where the file is cut short


def _complete(place: Path, root: Path, files: Sequence[PhotoFile], spec: ModelSpec, old: _Store) -> _Store:
    """Write the cache anew: known squares copied, the others decoded."""
    squares_path = place / f"{secrets.token_hex(8)}{SQUARES_SUFFIX}"
    new = _Store(old.squares)
    passing: dict[str, str] = {}
    interrupt: KeyboardInterrupt | None = None
    with artifacts.atomic_path(squares_path) as temporary:
        with temporary.open("wb") as out:

            def keep(identity: str, square: NDArray[np.uint8], digest: str) -> None:
                out.write(square.tobytes())
                new.rows[identity] = (len(new.rows), digest)

            for identity in filter(old.rows.__contains__, map(_identity, files)):
                row, digest = old.rows[identity]
                keep(identity, old.squares[row], digest)
            new.failures = {name: old.failures[name] for name in map(_identity, files) if name in old.failures}
            try:
                for file, outcome in _decode_all(root, [file for file in files if not old.knows(file)], spec):
                    if isinstance(outcome, ImageDecodeError):
                        new.failures[_identity(file)] = _reason(outcome, root / file.path)
                    elif isinstance(outcome, ImageError):  # may be readable next time
                        passing[_identity(file)] = _reason(outcome, root / file.path)
                    else:
                        keep(_identity(file), outcome, sha256(outcome.tobytes()))
            except KeyboardInterrupt as error:
                interrupt = error
        new.squares = _map(temporary, spec.side, len(new.rows))
    index = {"squares": squares_path.name, "rows": new.rows, "failures": new.failures}
    artifacts.write_json(place / INDEX, index)
    for stale in place.glob(f"[!.]*{SQUARES_SUFFIX}"):
        if stale != squares_path:
            stale.unlink(missing_ok=True)
    if interrupt:
        raise interrupt
    new.failures |= passing
    return new


def _reason(error: ImageError, path: Path) -> str:
    """The error's message without the path, which the list of files names already."""
    return str(error).removeprefix(f"{path}: ").replace(f" {str(path)!r}", "")


def _decode_all(
    root: Path, files: Sequence[PhotoFile], spec: ModelSpec
) -> Iterator[tuple[PhotoFile, NDArray[np.uint8] | ImageError]]:
    """Decode in order. Threads do: Pillow lets go of the interpreter's lock while it decodes and resizes."""

    def outcome(file: PhotoFile) -> NDArray[np.uint8] | ImageError:
        try:
            return load_square(root / file.path, spec)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            outcomes = tqdm(
                pool.map(outcome, files), total=len(files), unit="photo", desc="decode", mininterval=0.5, disable=None
            )
            yield from zip(files, outcomes, strict=True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
