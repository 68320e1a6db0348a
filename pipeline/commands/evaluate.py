"""``python -m pipeline evaluate``."""

import argparse
from pathlib import Path

from pipeline import artifacts
from pipeline.commands import FAILED, OK, Commands, input_contract, photo_options, source_options
from pipeline.commands.before_tensorflow import check_source
from runtime.system.writing import check_writable


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "evaluate",
        help="show which classes a model confuses and how well its probabilities are calibrated",
        description="Judge a trained model on test images: accuracy, confusions, and calibration of its probabilities, "
        "also after temperature scaling, which is fitted on validation images. Exit status: 0 judged, 1 if labeled "
        "photos show that the model is fed wrongly, 2 if the model or the photos are unusable.",
    )
    parser.add_argument("model", type=Path, help="a .keras or .h5 file")
    source_options.add(parser)
    input_contract.add(parser)
    photo_options.add_data(parser, "photos of its classes")
    parser.add_argument(
        "--on",
        choices=("test", "validation"),
        default="test",
        help="images to judge on; use validation while you still choose between models (default: test)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: the model's folder)")
    parser.set_defaults(tensorflow_threads=None, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before TensorFlow is loaded."""
    check_writable(_out(options) / artifacts.EVALUATION)
    check_source(options)


def _out(options: argparse.Namespace) -> Path:
    return Path(options.out or options.model.parent)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.data import samples
    from pipeline.documents.history import read_history
    from pipeline.errors import DataError
    from pipeline.export.load.model import load
    from pipeline.verify.evaluate import evaluate, evaluate_labels, format_evaluation, format_labels
    from pipeline.verify.input_contract.check import check_input_contract
    from pipeline.verify.parity import test_images

    out = _out(options)
    source = source_options.source(options)
    deployable = load(source)
    folder, photos = photo_options.folder_of(options, source.path), None
    if folder:
        photos = photo_options.of_source(options, folder, deployable, source)
        validation, test = photos.validation, photos.test
    else:
        validation = samples.validation_images(read_history(source.path))
        test = test_images(deployable.class_names) if options.on == "test" else None
    judged = validation if options.on == "validation" else test
    if judged is None:
        raise DataError(f"{folder} has no test photos: judge with --on validation, or add a test/ folder")
    print(f"{options.model} on {len(judged):,} {options.on} images\n")
    input_contract.announce(photos)
    finding = check_input_contract(source.path, deployable, source.reading, photos, judged)
    contract = input_contract.describe(source, deployable, finding)
    if deployable.multi_label:
        print(format_labels(evaluate_labels(deployable, validation, judged, out, contract)))
        written = artifacts.EVALUATION
    else:
        print(format_evaluation(evaluate(deployable, validation, judged, out, contract)))
        written = f"{artifacts.EVALUATION}, {artifacts.CONFUSION_FIGURE} and {artifacts.CALIBRATION_FIGURE}"
    print(f"fed: {contract}")
    photo_options.report_skipped(photos)
    print(f"Written: {written} in {out}")
    return FAILED if input_contract.contradicts(options, finding, source.asked) else OK
