"""What a command refuses before TensorFlow is loaded, which takes ten seconds and more.

Each function raises what the work itself would raise later; what it passes may still be refused there.
"""

import argparse

from pipeline.commands import source_options
from pipeline.data import unlabeled
from pipeline.data.scan import check_folder
from pipeline.documents.manifest import Manifest
from pipeline.system.given_files import check_code, check_model


def check_source(options: argparse.Namespace) -> None:
    """Refuse a model that is not there, and what is said of it by options that cannot be meant.

    Raises:
        ExportError: no such model or list of classes, or options that contradict each other.
        DataError: no such photos.
    """
    source_options.check(options)
    check_model(options.model)
    check_photos(options)


def check_exported(options: argparse.Namespace) -> None:
    """Refuse a folder that export did not write, and photos that are not there.

    Raises:
        DocumentError: the folder has no readable manifest.
        DataError: no such photos.
        ExportError: no such file with layers of the model's own.
    """
    Manifest.read(options.dir)
    if getattr(options, "trust_code", None):
        check_code(options.trust_code)
    check_photos(options)


def check_photos(options: argparse.Namespace) -> None:
    """Refuse photos that are not there, with labels and without.

    Raises:
        DataError: no such folder or file.
    """
    if getattr(options, "data", None):
        check_folder(options.data)
    if getattr(options, "unlabeled", None):
        unlabeled.check_there(options.unlabeled)
