"""Turn an image (file, bytes, PIL image or array) into RGB pixels of the model's input size."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name not in {"load_pixels", "load_square"}:  # the second is the former name
        raise AttributeError(f"module 'runtime.image' has no attribute {name!r}")
    from runtime.image.load import load_pixels

    return load_pixels
