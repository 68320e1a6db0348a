"""Look into a Keras file before Keras does: what would bring code of its own is refused, not loaded.

A model file names classes, and a loader that imports what it is told to runs whatever the file's author wanted
(CVE-2025-1550). So every class that the file names must be Keras's own, or have been registered by this process.
"""

import mmap
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from pipeline.errors import ExportError, reason
from runtime.engines.archive import ENTRY, read_member
from runtime.system.files import parse_json

KERAS_CONFIG = "config.json"
LAMBDAS = ("Lambda", "__lambda__", "TFOpLambda")
MAX_CONFIG_BYTES = 16 * 1024 * 1024
MAX_RATIO = 50
"""How many times the file's own size it may unpack to; weights hardly shrink."""
MAX_DEPTH = 100
"""How deep the description of the layers may be nested; a model in a model takes five levels."""
MAX_MEMBERS = 1000
_BLOCK = 1 << 20


def refuse_foreign_code(path: Path) -> None:
    """Check that a Keras file names no code but Keras's own and what is registered.

    Raises:
        ExportError: no such file, not a Keras file, a Lambda layer, or a class that is neither.
    """
    config = _read_config(path)
    try:
        entries = list(_entries(config))
    except ValueError as error:
        raise ExportError(f"{path}: its layers are {error}; save it again with model.save()") from error
    for entry in entries:
        name = entry["class_name"]
        if name in LAMBDAS:
            raise ExportError(
                f"{path}: has a Lambda layer ({_layer_name(entry)}), code that cannot be checked; "
                "write it with the layers of Keras"
            )
        module, registered = entry.get("module"), entry.get("registered_name")
        own = isinstance(module, str) and module.partition(".")[0] in ("keras", "builtins")
        legacy = module is None and registered is None
        known = isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None
        if not (own or legacy or known):
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
            return parse_json(_config_of_archive(path))
        if path.suffix in (".h5", ".hdf5") and h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                return parse_json(file.attrs["model_config"])
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile) as error:
        raise ExportError(
            f"{path}: not a whole Keras model ({reason(error)}); save it again with model.save(), weights alone do not "
            "do"
        ) from error
    raise ExportError(f"{path}: not a Keras model file; expected .keras or .h5 as model.save() writes them")


def _config_of_archive(path: Path) -> bytes:
    """The member ``config.json``; every other member is looked at, for Keras unpacks them without a bound.

    Raises:
        ValueError, zipfile.BadZipFile, …: a member is damaged, unpacks to more than it says or to far more than the
            file holds.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = -1
        for _ in range(MAX_MEMBERS):
            place = content.find(ENTRY, place + 1)
            if place < 0:
                break
        else:
            raise ValueError(f"more than {MAX_MEMBERS} members")
    most = max(MAX_CONFIG_BYTES, MAX_RATIO * path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > most:
            raise ValueError(f"it unpacks to more than {MAX_RATIO} times its size")
        for entry in entries:
            with archive.open(entry) as member:
                while member.read(_BLOCK):
                    pass
        return read_member(archive, archive.getinfo(KERAS_CONFIG), MAX_CONFIG_BYTES)


def _entries(config: Any) -> Iterator[dict[str, Any]]:
    """Every object of a configuration that names a class.

    Raises:
        ValueError: one lies deeper than ``MAX_DEPTH``.
    """
    level = [config]
    for _ in range(MAX_DEPTH):
        objects = [each for each in level if isinstance(each, dict)]
        yield from (each for each in objects if isinstance(each.get("class_name"), str))
        lists = [each for each in level if isinstance(each, list)]
        level = [inner for each in objects for inner in each.values()] + [inner for each in lists for inner in each]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _layer_name(entry: dict[str, Any]) -> str:
    config = entry.get("config")
    return str(entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or "without a name")
