"""Check a model's preprocessing with labeled images, for the commands that measure accuracy."""

import argparse
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import artifacts
from pipeline.data.photo_settings import READING, Reading, spec_beside
from pipeline.documents.history import read_history
from runtime.text import say

if TYPE_CHECKING:
    from pipeline.data.dataset import Dataset
    from pipeline.data.folder import Photos
    from pipeline.export.load.deployable import Deployable
    from pipeline.export.load.model import Source
    from pipeline.verify.input_contract import Finding


def add(parser: argparse.ArgumentParser) -> None:
    """Register the option that overrules the finding of the check."""
    parser.add_argument(
        "--as-asked",
        action="store_true",
        help="feed the model as these options say, even if labeled photos show that it answers better otherwise",
    )


def check_export(folder: Path, photos: "Photos | None", images: "Dataset") -> "tuple[Finding | None, tuple[str, ...]]":
    """Check the preprocessing of an exported model with labeled images.

    Args:
        folder: that export wrote.
        photos: labeled photos, or ``None`` where ``images`` have no files (CIFAR-10).
        images: the images to judge on.

    Returns:
        The finding, or ``None`` where nothing could be checked, and the preprocessing that export's options stated.
    """
    from pipeline.documents.manifest import Manifest
    from pipeline.export.load.model import load_exported
    from pipeline.verify.input_contract.check import check_input_contract

    announce(photos)
    manifest = Manifest.read(folder)
    stated = {name: getattr(manifest.photos, name) for name in READING} if manifest.photos else {}
    reading = Reading(**stated)  # type: ignore[typeddict-item]
    finding = check_input_contract(folder / artifacts.MODEL_KERAS, load_exported(folder), reading, photos, images)
    return finding, manifest.contract.asked if manifest.contract else ()


def announce(photos: "Photos | None") -> None:
    """Print on stderr that the preprocessing is checked, which takes long with photos of many pixels."""
    if photos:
        say("checking with the photos how the model is fed")


def describe(source: "Source", deployable: "Deployable", finding: "Finding | None") -> str:
    """Describe in one line how the model is fed, and the result of the check with labeled images."""
    from pipeline.documents.manifest import InputContract
    from pipeline.export.load.contract import describe_contract

    history = read_history(source.path)
    spec = spec_beside(source.path, deployable.side, deployable.class_names, deployable.width, **source.reading)
    trained_here = history is not None and history.records_preprocessing
    said = describe_contract(deployable, spec, source.asked, trained_here=trained_here)
    return InputContract(preprocessing=said, checked=finding.checked if finding else "").stated


def wrong_input(options: argparse.Namespace, finding: "Finding | None", asked: Collection[str]) -> str:
    """Return the finding if it contradicts a default that no option confirmed, else an empty text."""
    if finding is None or options.as_asked or not finding.contradicts(asked):
        return ""
    return finding.sentence


def contradicts(options: argparse.Namespace, finding: "Finding | None", asked: Collection[str]) -> bool:
    """Print the finding on stderr; return whether it contradicts a default that no option confirmed.

    Args:
        options: of the command; ``--as-asked`` turns the error into a warning.
        finding: of the check, ``None`` where nothing was checked.
        asked: the parts of the preprocessing that the user stated.
    """
    if finding is None or not finding.sentence:
        return False
    against = bool(wrong_input(options, finding, asked))
    advice = "; it is fed as asked"
    if against:
        advice = "; it was most likely trained that way: change the options accordingly, or keep them with --as-asked"
    print(f"{'error' if against else 'warning'}: {finding.sentence}{advice}", file=sys.stderr)
    return against
