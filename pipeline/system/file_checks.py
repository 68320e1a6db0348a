"""Checks of files that the user names, which need no Keras and so run before it is loaded."""

from pathlib import Path

from pipeline.errors import ExportError


def check_model(path: Path) -> None:
    """Refuse a missing model.

    Raises:
        ExportError: ``path`` is neither a file nor a folder.
    """
    if not (path.is_file() or path.is_dir()):
        raise ExportError(f"{path}: no such file; expected a .keras or .h5 file")


def check_code(path: Path) -> None:
    """Refuse a file that is not a Python file.

    Raises:
        ExportError: the file does not exist, or its name does not end in ``.py``.
    """
    if path.suffix != ".py" or not path.is_file():
        raise ExportError(f"{path}: expected a Python file, NAME.py, that defines the model's layers")
