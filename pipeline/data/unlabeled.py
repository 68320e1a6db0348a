"""Load photos without labels from a folder, a text file of paths, or an ``.npz`` file."""

import errno
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import sha256
from pipeline.data.dataset import Dataset, without_labels
from pipeline.data.folder import refuse_unusable
from pipeline.data.photo_cache import decode
from pipeline.data.photo_settings import Settings
from pipeline.data.scan import PhotoFile
from pipeline.errors import DataError, reason
from runtime.image.load import load_pixels
from runtime.photo_files import list_photos
from runtime.spec import ModelSpec
from runtime.text import first_of, plural, say

MIN_IMAGES = 32
"""Fewest different pictures: they are needed for calibration and validation."""
MOST_IMAGES = 2_000
"""At most this many photos are read, evenly spaced in the order of their paths."""
ARRAY_SUFFIXES = (".npz", ".npy")


def load(source: Path, settings: Settings, class_names: tuple[str, ...], fewest: int = MIN_IMAGES) -> Dataset:
    """Read photos without labels; photos with equal pixels are taken once.

    Args:
        source: a folder, with subfolders of any depth; a text file with one path per line, relative to its own folder;
            or an ``.npz`` or ``.npy`` file with one array of images, uint8 (N, H, W, 3), RGB.
        settings: how photos are read.
        class_names: of the model.
        fewest: number of different pictures that are needed.

    Raises:
        UnusablePhotosError: photos cannot be read; not with ``skip_bad``.
        DataError: the source does not exist, or has fewer than ``fewest`` different pictures.
    """
    say(f"{source}: reading the photos")
    spec = settings.spec(class_names)
    if source.is_dir():
        photos = list_photos(source)
        files = [_photo_file(source, Path(photo.path)) for photo in photos.photos]
        pixels = _decoded(source, files, spec, skip_bad=settings.skip_bad)
    elif source.suffix.lower() in ARRAY_SUFFIXES:
        images = _array(source)
        pixels = np.stack([load_pixels(images[place], spec) for place in _evenly(len(images))])
    else:
        pixels = _decoded(source.parent, _listed(source), spec, skip_bad=settings.skip_bad)
    first: dict[str, int] = {}
    for place, image in enumerate(pixels):
        first.setdefault(sha256(image.tobytes()), place)
    different = pixels[list(first.values())]
    if len(different) < fewest:
        raise DataError(
            f"{source}: {plural(len(different), 'different picture')}; at least {fewest} are needed to calibrate and "
            "judge on"
        )
    print(f"{source}: {plural(len(different), 'photo')} without labels", file=sys.stderr)
    return without_labels(different, class_names)


def check_there(source: Path) -> None:
    """Refuse a missing source of photos without labels; see ``load``.

    Raises:
        DataError: the source does not exist.
    """
    if not source.exists():
        raise _unreadable(source, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))


def _unreadable(source: Path, error: Exception) -> DataError:
    return DataError(
        f"{source}: no readable photos ({reason(error)}); expected a folder, a text file with one path per line, or an "
        ".npz file of images"
    )


def _photo_file(root: Path, path: Path) -> PhotoFile:
    status = path.stat()
    return PhotoFile(path.relative_to(root).as_posix(), "", "", status.st_size, status.st_mtime_ns)


def _decoded(root: Path, files: Sequence[PhotoFile], spec: ModelSpec, *, skip_bad: bool) -> NDArray[np.uint8]:
    ordered = sorted(files, key=lambda file: file.path)
    files = [ordered[place] for place in _evenly(len(ordered))]
    if not files:
        raise DataError(f"{root}: no photos in it")
    decoded = decode(root, files, spec)
    rows = [decoded.rows[file.path] for file in files if file.path in decoded.rows]
    if not skip_bad:
        refuse_unusable(root, decoded.skipped, len(rows))
    return decoded.pixels[rows]


def _listed(source: Path) -> list[PhotoFile]:
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(source, error) from error
    paths = [(source.parent / line.strip()).resolve() for line in lines if line.strip()]
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{source}: {len(missing)} of {len(paths)} listed files are not there: {first_of(missing)}")
    root = source.parent.resolve()
    outside = [str(path) for path in paths if not path.is_relative_to(root)]
    if outside:
        raise DataError(f"{source}: list files below its own folder {root}, not {first_of(outside)}")
    return [_photo_file(root, path) for path in dict.fromkeys(paths)]


def _array(source: Path) -> NDArray[np.uint8]:
    try:
        with source.open("rb") as stream:
            found = np.load(stream, allow_pickle=False)
            arrays = {"": found} if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{source}: no readable arrays ({reason(error)}); expected images uint8 (N, H, W, 3)"
        ) from error
    images = [array for array in arrays.values() if array.dtype == np.uint8 and array.ndim == 4 and array.shape[3] == 3]
    if len(images) != 1 or not len(images[0]):
        shapes = first_of([f"{name or 'array'} {array.dtype} {array.shape}" for name, array in arrays.items()])
        raise DataError(f"{source}: expected one array of images, uint8 (N, H, W, 3), got {shapes or 'none'}")
    return images[0]


def _evenly(count: int) -> list[int]:
    """Return the indices of all images, or of ``MOST_IMAGES`` evenly spaced ones."""
    if count > MOST_IMAGES:
        print(f"{count:,} photos: {MOST_IMAGES:,} of them are read, evenly out of all", file=sys.stderr)
    read = min(count, MOST_IMAGES)
    return [number * count // read for number in range(read)]
