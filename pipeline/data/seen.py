"""Whether a model has seen a folder of photos: in training or at export."""

import os
from pathlib import Path

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data.folder import Photos
from pipeline.data.scan import is_divided
from pipeline.documents.history import read_history
from pipeline.documents.manifest import Manifest


def digest_of_path(photos: Path) -> str:
    """Return the SHA-256 of a path's absolute form, by which a manifest recognizes it."""
    return sha256(os.fsencode(photos.resolve()))


def photos_to_judge(photos: Photos, exported: Path) -> Photos:
    """Put all photos into the test part if the folder is not divided into parts and the model has seen none of them.

    Args:
        photos: of the model's classes.
        exported: the folder that export wrote.
    """
    if photos.test is not None or is_divided(photos.folder) or _has_seen(photos, exported):
        return photos
    return photos.all_for_test()


def _has_seen(photos: Photos, exported: Path) -> bool:
    """Return whether training or export read the folder, as far as history and manifest say."""
    manifest, history = Manifest.read(exported), read_history(exported / artifacts.MODEL_KERAS)
    if history is not None and history.data is not None and Path(history.data).resolve() == photos.folder.resolve():
        return True
    if manifest.photo_folders is None or photos.validation.digest == manifest.validation.digest:
        return True
    return digest_of_path(photos.folder) in manifest.photo_folders
