"""Engines that run a model file, chosen by its suffix."""

import json
import os
import stat
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.backends.seal import check_seal
from runtime.errors import ModelDigestError, ModelFileNotFoundError, ModelFormatError

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

MAX_MODEL_BYTES = 512 * 1024 * 1024
MAX_JSON_BYTES = 16 * 1024 * 1024
"""The most that a spec, a golden set or a manifest may hold; larger ones are not read."""
MANIFEST = "manifest.json"


class Tensor(NamedTuple):
    """An input or output as the graph declares it; ``None`` stands for an axis that it leaves open."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} [{', '.join('N' if axis is None else str(axis) for axis in self.shape)}]"


class Backend(Protocol):
    """A loaded model; safe to call from several threads."""

    engine: str
    """Name of the package that runs it."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    spec_json: str | bytes | None
    """The spec as the model file carries it, if it does."""
    golden_json: str | bytes | None
    """The golden set as the model file carries it, if it does."""

    def __call__(self, values: NDArray[Any]) -> Probabilities:
        """A batch as the input declares it, usually uint8 (N, S, S, 3), to float32 (N, C)."""
        ...


def load_backend(path: Path, threads: int, *, spec_given: bool) -> Backend:
    """Read a model file once, check it and hand its bytes to its engine.

    Args:
        path: the file.
        threads: processor threads of the engine.
        spec_given: the caller says how to feed it, so it need not carry a spec.

    Raises:
        ModelFileNotFoundError: no readable file.
        ModelFormatError: not a model file of its suffix.
        ModelSpecError: it carries no spec, and none is given.
        ModelDigestError: it is damaged, or a manifest beside it lists another content.
        BackendUnavailableError: the engine is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".onnx", ".tflite"):
        raise ModelFormatError(f"{path}: expected a .onnx or .tflite file")
    content = _read(path)
    _check_digest(path, content)
    check_seal(content, path.name, spec_given=spec_given)
    if suffix == ".onnx":
        from runtime.backends.onnx import OnnxBackend

        return OnnxBackend(content, path.name, threads)
    from runtime.backends.litert import LitertBackend

    return LitertBackend(content, path.name, threads)


def _read(path: Path) -> bytes:
    try:
        # Opened without waiting: a pipe of this name would otherwise be waited for.
        with os.fdopen(
            os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb"
        ) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ModelFileNotFoundError(f"{path}: not a regular file; expected a readable model file")
            content = file.read(MAX_MODEL_BYTES + 1)
    except OSError as error:
        if isinstance(error, ModelFileNotFoundError):
            raise
        raise ModelFileNotFoundError(f"{path}: {error.strerror}; expected a readable model file") from error
    except ValueError as error:  # a NUL in the path
        raise ModelFileNotFoundError(f"{str(path)!r}: {error}; expected a readable model file") from error
    if len(content) > MAX_MODEL_BYTES:
        raise ModelFormatError(f"{path}: larger than {MAX_MODEL_BYTES} bytes, the most that is read")
    return content


def _check_digest(path: Path, content: bytes) -> None:
    """Hold the file against the manifest that export writes, where one lies beside it and lists it."""
    manifest = path.with_name(MANIFEST)
    try:
        with manifest.open("rb") as file:
            text = file.read(MAX_JSON_BYTES)
        listed = json.loads(text).get("files", {}).get(path.name, {}).get("sha256")
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ModelDigestError(
            f"{path}: the manifest beside it cannot be read ({error}): export anew, or remove {manifest}"
        ) from error
    if listed is None:
        return
    digest = _sha256(content)
    if digest != listed:
        raise ModelDigestError(
            f"{path}: changed since export: its SHA-256 begins {digest[:12]}, {MANIFEST} says {str(listed)[:12]}: "
            "copy both files again"
        )


def _sha256(content: bytes) -> str:
    # hashlib would load OpenSSL: 6 ms and 4 MiB, a tenth of what a process that names one photo takes. The interpreter
    # has the function without it: as _sha2 from 3.12 on, as _sha256 before.
    found = next(name for name in ("_sha2", "_sha256", "hashlib") if find_spec(name))
    return str(import_module(found).sha256(content).hexdigest())
