"""Explain an error of arguments in the wrong places: a photo where a model file is expected, or the reverse."""

import argparse
import os

from runtime.engines.registry import file_formats
from runtime.photo_files import EXTENSIONS


def explain_misplaced(options: argparse.Namespace, error: str) -> str:
    """Return a message that names the misplaced argument and the right order; empty if none seems misplaced.

    Args:
        options: of the command. ``model`` or ``models`` are its model files, ``images`` or ``dir`` its photos, and
            ``order`` names both in the right order.
        error: the message of the error about one of them.
    """
    models = _names(getattr(options, "model", None) or getattr(options, "models", None))
    photos = _names(getattr(options, "images", None) or getattr(options, "dir", None))
    order = getattr(options, "order", "")
    remedy = f"; the order is {order}" if order else ""
    for name in models:
        if _suffix(name) in EXTENSIONS:
            return f"{name} is a photo, expected a model file{remedy}"
    for name in photos:
        if _suffix(name) in file_formats():
            return f"{error}; {name} is a model file{remedy}"
    return ""


def _names(given: object) -> list[str]:
    return list(map(str, given)) if isinstance(given, list) else [str(given)] if given else []


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()
