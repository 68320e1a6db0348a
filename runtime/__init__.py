"""Classify photos with a self-describing model file.

    from runtime import Classifier
    print(Classifier("model_int8.onnx").classify("photo.jpg").label)

Needs numpy, Pillow and onnxruntime (or ai-edge-litert for ``.tflite`` files); nothing else.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the folder is copied to boards, which may have an older Python
    _NEEDS = "edgecnn needs Python 3.11 or newer, this is Python {}.{} ({}): Raspberry Pi OS has it from Bookworm on"
    _NEEDS = _NEEDS.format(sys.version_info[0], sys.version_info[1], sys.executable)
    if sys.argv[:1] == ["-m"]:  # the command line prints one line and no traceback
        sys.stderr.write("error: " + _NEEDS + "\n")
        sys.exit(2)
    raise ImportError(_NEEDS)

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runtime.errors import (
    BackendUnavailableError,
    EdgecnnError,
    ForkedProcessError,
    ImageDecodeError,
    ImageError,
    ImageFileNotFoundError,
    ImageMemoryError,
    ModelDigestError,
    ModelError,
    ModelFileNotFoundError,
    ModelFormatError,
    ModelSpecError,
    PixelsError,
)

if TYPE_CHECKING:
    from runtime.classifier import Classifier
    from runtime.prediction import Prediction
    from runtime.spec import ModelSpec

# Since 1.29 ONNX Runtime sends telemetry and stores a device id in the home folder unless this variable is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailableError",
    "Classifier",
    "EdgecnnError",
    "ForkedProcessError",
    "ImageDecodeError",
    "ImageError",
    "ImageFileNotFoundError",
    "ImageMemoryError",
    "ModelDigestError",
    "ModelError",
    "ModelFileNotFoundError",
    "ModelFormatError",
    "ModelSpec",
    "ModelSpecError",
    "PixelsError",
    "Prediction",
]


_MODULES = {"Classifier": "classifier", "Prediction": "prediction", "ModelSpec": "spec"}


def __getattr__(name: str) -> Any:
    # Imported at first use, so that `doctor` works where numpy or Pillow cannot be imported, and so that Ctrl-C during
    # these slow imports reaches the command line's own handler.
    if name not in _MODULES:
        raise AttributeError(f"module 'runtime' has no attribute {name!r}")
    return getattr(import_module(f"runtime.{_MODULES[name]}"), name)
