"""Save a model as a ``.keras`` file reproducibly: the same model gives the same bytes."""

import json
import zipfile
from pathlib import Path

import keras

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a ZIP archive can store."""
METADATA, SAVED_ON = "metadata.json", "date_saved"


def save(model: keras.Model, path: Path) -> None:
    """Save a model without the date, so that the same model gives the same file."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members[METADATA])
    members[METADATA] = json.dumps({name: entry for name, entry in metadata.items() if name != SAVED_ON}).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
