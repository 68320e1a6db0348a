"""``python -m pipeline verify``."""

import argparse
from pathlib import Path

from pipeline.commands import FAILED, OK, Commands, input_contract, photo_options, source_options
from pipeline.commands.before_tensorflow import check_exported
from runtime.text import say


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "verify",
        help="compare exported files with Keras; exit status 1 if one is outside its tolerances",
        description="Compare exported files with Keras on test images. Exit status: 0 if each file is within its "
        "tolerances, 1 if one is not, or if labeled photos show that the model is fed wrongly, 2 if the folder or the "
        "photos are unusable.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    photo_options.add_data(parser, "photos of the model's classes to judge on", exported=True)
    photo_options.add_unlabeled(parser, "--photos", "judge only the agreement with Keras, on them")
    source_options.add_trust(parser)
    input_contract.add(parser)
    parser.set_defaults(tensorflow_threads=None, check=check_exported, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.documents.manifest import Manifest
    from pipeline.verify.parity import format_report, test_images, verify

    unlabeled = photo_options.unlabeled_of_export(options, options.dir)
    photos = None if unlabeled else photo_options.of_export(options, options.dir)
    test, part = (unlabeled, "unlabeled") if unlabeled else photo_options.evaluation_images(photos)
    test = test or test_images(Manifest.read(options.dir).class_names)
    finding, asked = input_contract.check_export(options.dir, photos, test)
    wrong_input = input_contract.wrong_input(options, finding, asked)
    say("comparing every file with Keras")
    report = verify(options.dir, test, part, wrong_input=wrong_input)
    print(format_report(report))
    photo_options.report_skipped(photos)
    print(f"Written: {options.dir}/verify.json{'' if report.keras.accuracy is None else ' and mistakes.json'}")
    input_contract.contradicts(options, finding, asked)
    return OK if report.passed else FAILED
