"""Checks of a command's arguments that run before TensorFlow is loaded, which takes ten seconds or more.

Each function raises the error that the command itself would raise later. The command may still refuse arguments that
pass these checks.
"""

import argparse

from pipeline.commands import source_options
from pipeline.data import unlabeled
from pipeline.data.class_list import read_class_list
from pipeline.data.label_table import has_table
from pipeline.data.scan import check_folder, scan
from pipeline.documents.manifest import Manifest
from pipeline.system.file_checks import check_code, check_model


def check_source(options: argparse.Namespace) -> None:
    """Refuse a missing model, missing photos or those of other classes, and options that contradict each other.

    Raises:
        ExportError: the model or the list of classes does not exist, or options contradict each other.
        DataError: the photos do not exist, or lie in folders that the list of classes does not name.
    """
    source_options.check(options)
    check_model(options.model)
    check_photos(options)
    if options.classes and getattr(options, "data", None) and not has_table(options.data):
        names = read_class_list(options.classes)
        if len(names) > 1:  # one name is that of the one output of a model with two classes
            scan(options.data, known=names)


def check_exported(options: argparse.Namespace) -> None:
    """Refuse a folder that export did not write, and missing photos.

    Raises:
        DocumentError: the folder has no readable manifest.
        DataError: the photos do not exist.
        ExportError: the file that ``--trust-code`` names does not exist.
    """
    Manifest.read(options.dir)
    if getattr(options, "trust_code", None):
        check_code(options.trust_code)
    check_photos(options)


def check_photos(options: argparse.Namespace) -> None:
    """Refuse missing photos, labeled (``--data``) or unlabeled.

    Raises:
        DataError: the folder or file does not exist.
    """
    if getattr(options, "data", None):
        check_folder(options.data)
    if getattr(options, "unlabeled", None):
        unlabeled.check_there(options.unlabeled)
