"""Engines that run a model file, chosen by its suffix."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelFileNotFoundError, ModelFormatError

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]

MAX_MODEL_BYTES = 512 * 1024 * 1024


class Backend(Protocol):
    """A loaded model: pixels in, probabilities out; safe to call from several threads."""

    spec_json: str | bytes
    """The spec as the model file carries it."""
    golden_json: str | bytes | None
    """The golden set as the model file carries it, if it does."""
    side: int
    """Height and width of the input that the graph itself declares."""
    class_count: int
    """Length of the output that the graph itself declares."""

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, S, S, 3) to float32 (N, C)."""
        ...


def load_backend(path: Path, threads: int) -> Backend:
    """Read a model file once and hand it to its engine.

    Raises:
        ModelFileNotFoundError: no readable file.
        ModelFormatError: not a model file of its suffix.
        ModelSpecError: the file carries no spec.
        BackendUnavailableError: the engine is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".onnx", ".tflite"):
        raise ModelFormatError(f"{path}: expected a .onnx or .tflite file")
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise ModelFormatError(f"{path}: {size} bytes, at most {MAX_MODEL_BYTES} are read")
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileNotFoundError(f"{path}: {error.strerror}; expected a readable model file") from error
    if suffix == ".onnx":
        from runtime.backends.onnx import OnnxBackend

        return OnnxBackend(content, path.name, threads)
    from runtime.backends.litert import LitertBackend

    return LitertBackend(content, path.name, threads)
