"""Refuse a Keras file that contains code of its own, before Keras loads it.

A model file names classes, and a loader that imports every named class may run any code that the file's author chose
(CVE-2025-1550). So every class that the file names must be Keras's own, or be registered in this process.
"""

from pathlib import Path
from typing import Any

import keras

from pipeline.errors import ExportError
from pipeline.export.load.keras2 import entries

LAMBDAS = ("Lambda", "__lambda__")


def refuse_custom_code(path: Path, config: Any) -> None:
    """Check that a network's configuration names only classes of Keras and registered ones.

    Raises:
        ExportError: it has a Lambda layer, or names another class.
    """
    for entry in entries(config):
        name = entry["class_name"]
        if name in LAMBDAS:
            raise ExportError(
                f"{path}: has a Lambda layer ({_layer_name(entry)}), code that cannot be checked; "
                "write it with the layers of Keras, or as a layer of your own (--trust-code FILE.py)"
            )
        module, registered = entry.get("module"), entry.get("registered_name")
        own = isinstance(module, str) and module.partition(".")[0] in ("keras", "builtins")
        legacy = module is None and registered is None
        known = isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None
        if not (own or legacy or known):
            raise ExportError(
                f"{path}: has a custom layer {name} ({_layer_name(entry)}) that is not registered; "
                "write it with the layers of Keras, or name the file with its code, if you trust it: "
                "--trust-code FILE.py"
            )


def _layer_name(entry: dict[str, Any]) -> str:
    config = entry.get("config")
    return str(entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or "without a name")
