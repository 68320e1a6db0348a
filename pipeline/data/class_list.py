"""Read a text file of class names, one per line, in the order of a model's outputs."""

from pathlib import Path

from pipeline.data.class_names import fault
from pipeline.errors import ExportError, reason

TEACHABLE_LABELS = "labels.txt"
"""Name of the list of classes that Teachable Machine writes beside ``keras_model.h5``."""


def read_class_list(path: Path) -> tuple[str, ...]:
    """Read class names from a text file, one per line, in the order of the model's outputs.

    Raises:
        ExportError: the file cannot be read, is empty or has an empty line, or a name is not valid or occurs twice.
    """
    try:
        names = tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").rstrip().split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(
            f"{path}: no readable list of classes ({reason(error)}); expected UTF-8 text, one name per line"
        ) from error
    if not any(names):
        raise ExportError(f"{path}: names no class; expected one name per line, in the order of the model's outputs")
    if not all(names):
        raise ExportError(f"{path}: line {names.index('') + 1} is empty; expected a class name a line")
    names = _without_numbers(names) if path.name == TEACHABLE_LABELS else names
    if wrong := fault(names):
        raise ExportError(f"{path}: {wrong}")
    return names


def _without_numbers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Remove the numbers of Teachable Machine's lines, such as ``0 Cat``, ``1 Dog``; leave any other list unchanged."""
    parts = [name.partition(" ") for name in names]
    numbered = [number for number, _, _ in parts] == [str(place) for place in range(len(names))]
    return tuple(name for _, _, name in parts) if numbered and all(name for _, _, name in parts) else names
