"""Import custom layers from a Python file that the user names on the command line, and from no other file."""

import importlib.util
import inspect
from pathlib import Path

import keras

from pipeline.errors import ExportError
from pipeline.system.file_checks import check_code


def trust_code(path: Path) -> tuple[str, ...]:
    """Run a Python file and register the classes and functions that it defines with Keras.

    Returns:
        Names of these classes and functions.

    Raises:
        ExportError: the file cannot be read, raises an error, or defines no class and no function.
    """
    check_code(path)
    specification = importlib.util.spec_from_file_location(path.stem, path)
    if specification is None or specification.loader is None:
        raise ExportError(f"{path}: cannot be imported; expected a Python file with the layers of the model")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except Exception as error:  # the file may raise anything
        raise ExportError(f"{path}: raises {type(error).__name__} when it is imported ({error}); fix it") from error
    own = {
        name: value
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
    }
    if not own:
        raise ExportError(f"{path}: defines no class and no function; expected the layers of the model")
    keras.saving.get_custom_objects().update(own)
    return tuple(own)
