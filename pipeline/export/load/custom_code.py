"""Look into a Keras file before Keras does: what would bring code of its own is refused, not loaded.

A model file names classes, and a loader that imports what it is told to runs whatever the file's author wanted
(CVE-2025-1550). So every class that the file names must be Keras's own, or have been registered by this process.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from pipeline.errors import ExportError

KERAS_CONFIG = "config.json"
LAMBDAS = ("Lambda", "__lambda__", "TFOpLambda")


def refuse_foreign_code(path: Path) -> None:
    """Check that a Keras file names no code but Keras's own and what is registered.

    Raises:
        ExportError: no such file, not a Keras file, a Lambda layer, or a class that is neither.
    """
    for entry in _entries(_read_config(path)):
        name = entry["class_name"]
        if name in LAMBDAS:
            raise ExportError(
                f"{path}: has a Lambda layer ({_layer_name(entry)}), code that cannot be checked; "
                "write it with the layers of Keras"
            )
        module, registered = entry.get("module"), entry.get("registered_name")
        own = module is not None and module.partition(".")[0] in ("keras", "builtins")
        legacy = module is None and registered is None
        if not (own or legacy) and keras.saving.get_registered_object(registered) is None:
            raise ExportError(
                f"{path}: has a custom layer {name} ({_layer_name(entry)}) that is not registered; "
                "write it with the layers of Keras"
            )


def _read_config(path: Path) -> Any:
    """What the file says of the model's layers: JSON, parsed and not built."""
    if not path.is_file():
        raise ExportError(f"{path}: no such file; expected a .keras or .h5 file")
    try:
        if path.suffix == ".keras" and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read(KERAS_CONFIG))
        if path.suffix in (".h5", ".hdf5") and h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return json.loads(file.attrs["model_config"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path}: not a whole Keras model ({error}); save it again with model.save(), weights alone do not do"
        ) from error
    raise ExportError(f"{path}: not a Keras model file; expected .keras or .h5 as model.save() writes them")


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every object of a configuration that names a class, however deep."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for value in config.values():
            yield from _entries(value)
    elif isinstance(config, list):
        for value in config:
            yield from _entries(value)


def _layer_name(entry: dict[str, Any]) -> str:
    config = entry.get("config")
    return str(entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or "without a name")
