"""From a Keras model to verified model files for an edge board. Start at ``pipeline.cli``.

In a notebook: ``from pipeline import export, report, verify`` (``pipeline.notebook`` says what they take). Importing
this package imports no TensorFlow; importing ``export`` does.
"""

from importlib import import_module
from typing import Any

import runtime as runtime  # says first which Python is needed

__all__ = ["export", "report", "verify"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
