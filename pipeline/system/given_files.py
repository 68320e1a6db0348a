"""Files that a person names: what can be refused without Keras, and so before it is loaded."""

from pathlib import Path

from pipeline.errors import ExportError


def check_model(path: Path) -> None:
    """Refuse a model that is not there.

    Raises:
        ExportError: nothing is at ``path``, or what is neither file nor folder.
    """
    if not (path.is_file() or path.is_dir()):
        raise ExportError(f"{path}: no such file; expected a .keras or .h5 file")


def check_code(path: Path) -> None:
    """Refuse what is no Python file.

    Raises:
        ExportError: no such file, or not named ``….py``.
    """
    if path.suffix != ".py" or not path.is_file():
        raise ExportError(f"{path}: expected a Python file with the layers of the model, NAME.py")
