"""``python -m docs.figures field-loop``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "field-loop", help="compare the labeling loop of docs/field.md with random labels; takes a quarter of an hour"
    )
    parser.add_argument(
        "photos", type=Path, nargs="?", help="photos in train/CLASS/ and val/CLASS/; none: only write the table again"
    )
    parser.add_argument("--unknown", "--strangers", type=Path, help="a folder of photos that show none of the classes")
    parser.add_argument("--work", type=Path, default=Path("artifacts/field-loop"), help="an empty folder")
    parser.add_argument("--draws", type=int, default=20, help="how often labels are drawn at random (default: 20)")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.field_loop.run import run_loop
    from docs.figures.field_loop.table import DOCUMENT, FIGURES, loop_table, publish
    from pipeline import artifacts

    if options.photos:
        found = run_loop(options.photos, options.unknown, options.work, options.draws)
    else:
        found = artifacts.read_json(FIGURES)
    publish(found)
    print(f"{loop_table(found)}\n\nWritten: {FIGURES} and the table in {DOCUMENT}")
    return OK
