"""Turn an image (file, bytes, PIL image or array) into RGB pixels of the model's input size."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "load_square":
        raise AttributeError(f"module 'runtime.image' has no attribute {name!r}")
    from runtime.image.load import load_square

    return load_square
