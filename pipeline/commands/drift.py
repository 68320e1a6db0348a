"""``python -m pipeline drift``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands, photo_options, source_options
from pipeline.commands.before_tensorflow import check_exported
from pipeline.errors import PipelineError
from pipeline.formats import PRECISIONS
from runtime.text import say


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "drift",
        help="show layer by layer where model files differ from Keras, and which images change their class",
        description="Compare every layer of every exported file with Keras on validation images.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    parser.add_argument(
        "--threshold", type=float, metavar="DB",
        help="signal-to-noise ratio below which a layer counts as drifted (default: "
        + ", ".join(f"{precision.threshold_db:g} in {precision.name}" for precision in PRECISIONS) + ")",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=int, default=64, metavar="N", help="images to compare layers on (default: %(default)s)"
    )
    parser.add_argument(
        "--flips",
        type=int,
        default=10,
        metavar="N",
        help="images to list per file whose class changed (default: %(default)s)",
    )
    photo_options.add_data(parser, "photos of the model's classes", exported=True)
    photo_options.add_unlabeled(parser, "--photos", "compare on them")
    source_options.add_trust(parser)
    parser.set_defaults(tensorflow_threads=None, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before TensorFlow is loaded."""
    if options.images < 1:
        raise PipelineError(f"--images takes 1 or more, got {options.images}")
    check_exported(options)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline import artifacts
    from pipeline.verify.drift import drift
    from pipeline.verify.drift.tables import format_drift

    images = photo_options.unlabeled_of_export(options, options.dir)
    photos = None if images else photo_options.of_export(options, options.dir)
    images = photos.validation if photos else images
    say("comparing every layer of every file with Keras's")
    report = drift(options.dir, images, layer_images=options.images, threshold_db=options.threshold)
    print(format_drift(report, options.flips))
    photo_options.report_skipped(photos)
    print(f"\nWritten: {options.dir}/{artifacts.DRIFT}")
    return OK
