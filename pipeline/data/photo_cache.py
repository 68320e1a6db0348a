"""Cache decoded photos: a memory-mapped file with the preprocessed images ("pixels") of a folder, beside an index.

Each folder and preprocessing has one place in the cache. The index identifies each file by path, size and time of
change, so that only new or changed files are decoded again. Pixels and index are each replaced as a whole, the index
last: a killed process leaves either the old pair or the new one. The SHA-256 of each image is checked against the
index, once per process.
"""

import math
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import features
from tqdm import tqdm

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data import photo_index
from pipeline.data.cifar10 import cache_dir
from pipeline.data.photo_index import DIGEST_BYTES, Store, digest_at
from pipeline.data.scan import PhotoFile
from pipeline.errors import reason
from runtime.errors import HeicError, ImageDecodeError, ImageError
from runtime.image.heif import REMEDY
from runtime.image.load import load_pixels
from runtime.photo_files import HEIC, SkippedEntry
from runtime.spec import ModelSpec
from runtime.text import plural

VERSION = 1
"""Increase it when ``load_pixels`` gives other pixels for the same files, or when the format of the index changes."""

INDEX = "index.json"
DECODED = 1_024
"""Number of photos that are handed to the threads at once, which limits the images that wait in memory."""
PIXELS_SUFFIX = ".u8"
BROKEN = "broken"
_PLACE = re.compile(r"(?:v(?P<version>\d+)-)?[0-9a-f]{32}")
"""Names of places in the cache; the oldest have no version."""

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Decoded:
    """The decoded photos of a folder.

    Attributes:
        pixels: uint8 (M, H, W, 3), memory-mapped, in no particular order.
        rows: path -> index of its image in ``pixels``.
        digests: SHA-256 of each image in ``pixels``, 32 bytes each.
        skipped: files that could not be decoded.
    """

    pixels: NDArray[np.uint8]
    rows: Mapping[str, int]
    digests: bytes | bytearray
    skipped: tuple[SkippedEntry, ...]

    def digest(self, path: str) -> bytes:
        """Return the SHA-256 of a photo's pixels."""
        return digest_at(self.digests, self.rows[path])


def decode(root: Path, files: Sequence[PhotoFile], spec: ModelSpec) -> Decoded:
    """Decode files with ``load_pixels``, in parallel, except those that are already in the cache.

    Damaged entries of the cache are reported on stderr and decoded again. After Ctrl-C, the photos decoded so far are
    kept in the cache.

    Args:
        root: the folder.
        files: of the folder.
        spec: the preprocessing.
    """
    place = cache_dir() / "photos" / _place(root, spec)
    store = _read(place, spec.shape, files)
    if not all(map(store.knows, files)):
        store = _complete(place, root, files, spec, store)
    skipped = [left for file in files if (left := _skipped(root, file, store)) is not None]
    return Decoded(store.pixels, store.rows, store.digests, tuple(skipped))


def _skipped(root: Path, file: PhotoFile, store: Store) -> SkippedEntry | None:
    if file.path in store.failures:
        return SkippedEntry(file.path, BROKEN, store.failures[file.path])
    error = store.passing.get(file.path)
    if isinstance(error, HeicError):
        return SkippedEntry(file.path, HEIC, REMEDY)
    return None if error is None else SkippedEntry(file.path, BROKEN, _reason(error, root / file.path))


def _place(root: Path, spec: ModelSpec) -> str:
    """Return the name of the place in the cache: the version, and a digest of the folder and the preprocessing."""
    reading = (spec.side, spec.resize, spec.resize_filter, spec.fill, *(["as stored"] * spec.ignore_orientation))
    reading += (spec.width,) if spec.width else ()
    return f"v{VERSION}-{sha256(os.fsencode(root.resolve()) + repr(reading).encode())[:32]}"


def _decoder() -> list[str | None]:
    """Return the versions of the decoders, because other versions may give other pixels."""
    try:
        heif = version("pillow-heif")
    except PackageNotFoundError:
        heif = None
    return [PIL.__version__, features.version("jpg"), features.version("libjpeg_turbo"), heif]


def _read(place: Path, shape: Shape, files: Sequence[PhotoFile]) -> Store:
    """Read the undamaged entries of these files; none if the place is missing or was written with another decoder."""
    empty = Store(np.zeros((0, *shape), np.uint8), b"")
    try:
        with (place / INDEX).open("rb") as lines:
            index, entries = photo_index.read(lines)
            if index["decoder"] != _decoder():
                return empty
            path = place / str(index["squares"])
            store = Store(_map(path, shape), _digests(path, shape, path.stat().st_mtime_ns))
            damaged = photo_index.take(store, index, entries, files)
    except FileNotFoundError:
        return empty
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        _say(place, f"damaged ({reason(error)}); decoding the photos again")
        return empty
    if damaged:
        _say(place, f"damaged images: {damaged} of {damaged + len(store.rows)}; decoding those photos again")
    return store


def _map(path: Path, shape: Shape) -> NDArray[np.uint8]:
    """Map the complete images of a file into memory, uint8 (M, H, W, 3)."""
    count = path.stat().st_size // math.prod(shape)
    if not count:
        return np.zeros((0, *shape), np.uint8)
    return np.memmap(path, np.uint8, "r", shape=(count, *shape))


@lru_cache(maxsize=16)
def _digests(path: Path, shape: Shape, _modified_ns: int) -> bytes:
    """Return the SHA-256 of each image in a file, 32 bytes each, computed once per process."""
    pixels = _map(path, shape)
    digests = bytearray(len(pixels) * DIGEST_BYTES)
    for row, image in enumerate(pixels):
        digests[row * DIGEST_BYTES : (row + 1) * DIGEST_BYTES] = _digest(image)
    return bytes(digests)


def _digest(image: NDArray[np.uint8]) -> bytes:
    return bytes.fromhex(sha256(np.ascontiguousarray(image).data))


def _say(place: Path, text: str) -> None:
    print(f"cache of photos {place}: {text}", file=sys.stderr)


def _complete(place: Path, root: Path, files: Sequence[PhotoFile], spec: ModelSpec, old: Store) -> Store:
    """Write a place in the cache again: copy its known images and decode the other files."""
    _clear_old(place.parent)
    pixels_path = place / f"{secrets.token_hex(8)}{PIXELS_SUFFIX}"
    new = Store(old.pixels, bytearray())
    interrupt: KeyboardInterrupt | None = None
    with artifacts.atomic_path(pixels_path) as temporary:
        with temporary.open("wb") as out:
            try:
                _fill(new, out, root, files, spec, old)
            except KeyboardInterrupt as error:
                interrupt = error
        new.pixels = _map(temporary, spec.shape)
    photo_index.write(place / INDEX, {"decoder": _decoder(), "squares": pixels_path.name}, files, new)
    for stale in place.glob(f"[!.]*{PIXELS_SUFFIX}"):
        if stale != pixels_path:
            stale.unlink(missing_ok=True)
    if interrupt:
        raise interrupt
    return new


def _fill(  # noqa: PLR0913, PLR0917
    new: Store, out: BinaryIO, root: Path, files: Sequence[PhotoFile], spec: ModelSpec, old: Store
) -> None:
    """Write the pixels of all files to ``out``, and their places to ``new``."""
    digests = bytearray()
    new.digests = digests

    def keep(file: PhotoFile, image: NDArray[np.uint8], digest: bytes) -> None:
        out.write(image.tobytes())
        new.rows[file.path] = len(digests) // DIGEST_BYTES
        digests.extend(digest)

    for file in files:
        if file.path in old.rows:
            row = old.rows[file.path]
            keep(file, old.pixels[row], digest_at(old.digests, row))
        elif file.path in old.failures:
            new.failures[file.path] = old.failures[file.path]
    for file, outcome in _decode_all(root, [file for file in files if not old.knows(file)], spec):
        if isinstance(outcome, np.ndarray):
            keep(file, outcome, _digest(outcome))
        elif isinstance(outcome, ImageDecodeError) and not isinstance(outcome, HeicError):
            new.failures[file.path] = _reason(outcome, root / file.path)
        else:  # may be readable next time
            new.passing[file.path] = outcome


def _clear_old(photos: Path) -> None:
    """Remove the places of earlier versions, which are no longer read."""
    places = [path for path in photos.glob("*") if _is_old(path.name) and path.is_dir() and not path.is_symlink()]
    for place in places:
        for file in (*place.glob(f"*{PIXELS_SUFFIX}"), place / INDEX):
            file.unlink(missing_ok=True)
        if not any(place.iterdir()):
            place.rmdir()
    if places:
        _say(photos, f"{plural(len(places), 'folder')} of an earlier version removed")


def _is_old(name: str) -> bool:
    match = _PLACE.fullmatch(name)
    return match is not None and int(match["version"] or 0) < VERSION


def _reason(error: ImageError, path: Path) -> str:
    """Return the error's message without the path, which the list of files names already."""
    return str(error).removeprefix(f"{path}: ").replace(f" {str(path)!r}", "")


def _decode_all(
    root: Path, files: Sequence[PhotoFile], spec: ModelSpec
) -> Iterator[tuple[PhotoFile, NDArray[np.uint8] | ImageError]]:
    """Decode files in order, with threads: Pillow releases the GIL while it decodes and resizes."""

    def outcome(file: PhotoFile) -> NDArray[np.uint8] | ImageError:
        try:
            return load_pixels(root / file.path, spec)
        except ImageError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            with tqdm(total=len(files), unit="photo", desc="decode", mininterval=0.5, disable=None) as bar:
                for start in range(0, len(files), DECODED):
                    part = files[start : start + DECODED]
                    for file, image in zip(part, pool.map(outcome, part), strict=True):
                        yield file, image
                        bar.update()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
