"""``python -m docs.figures networks``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "networks", help="compare the shipped networks with those of other projects, for the README"
    )
    parser.add_argument(
        "others", type=Path, nargs="?", help="a folder with MLPerf Tiny's int8 files; none: only write the table again"
    )
    parser.set_defaults(tensorflow_threads=1, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.networks import DOCUMENT, FIGURES, measure, networks_table, publish
    from pipeline import artifacts

    figures = measure(options.others) if options.others else artifacts.read_json(FIGURES)
    publish(figures)
    print(f"{networks_table(figures)}\n\nWritten: {FIGURES} and the table in {DOCUMENT}")
    return OK
