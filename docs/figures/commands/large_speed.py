"""``python -m docs.figures large-speed``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command."""
    parser = commands.add_parser("large-speed", help="time int8 files of two large networks on two engines")
    parser.set_defaults(tensorflow_threads=1, run=run)


def run(_: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.large_speed import DOCUMENT, FIGURES, measure, publish, tables

    report = measure()
    publish(report)
    print(f"{tables(report)}\n\nWritten: {FIGURES} and the table in {DOCUMENT}")
    return OK
