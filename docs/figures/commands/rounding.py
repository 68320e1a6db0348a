"""``python -m docs.figures rounding``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("rounding", help="round the weights of EfficientNet-Lite0 adaptively, compare")
    parser.add_argument("photos", type=Path, help="one photo of each class of ImageNet")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.rounding import DOCUMENT, FIGURES, measure, publish, tables

    report = measure(options.photos)
    publish(report)
    print(f"{tables(report)}\n\nWritten: {FIGURES} and the table in {DOCUMENT}")
    return OK
