"""Classify photos with a model file that explains itself.

    from runtime import Classifier
    print(Classifier("model_int8.onnx").classify("photo.jpg").label)

Needs numpy, Pillow and onnxruntime (or ai-edge-litert for ``.tflite`` files); nothing else.
"""

from runtime.classifier import Classifier, Prediction
from runtime.errors import (
    BackendUnavailableError,
    EdgecnnError,
    ImageDecodeError,
    ImageError,
    ImageFileNotFoundError,
    ModelError,
    ModelFileNotFoundError,
    ModelFormatError,
    ModelSpecError,
    PixelsError,
)
from runtime.spec import ModelSpec

__all__ = [
    "BackendUnavailableError",
    "Classifier",
    "EdgecnnError",
    "ImageDecodeError",
    "ImageError",
    "ImageFileNotFoundError",
    "ModelError",
    "ModelFileNotFoundError",
    "ModelFormatError",
    "ModelSpec",
    "ModelSpecError",
    "PixelsError",
    "Prediction",
]
