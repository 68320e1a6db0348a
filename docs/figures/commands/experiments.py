"""``python -m docs.figures experiments``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("experiments", help="add finished trainings as rows of the table in docs/training.md")
    parser.add_argument(
        "folder", type=Path, nargs="*", help="folders that train wrote; none: only write the table again"
    )
    parser.add_argument("--note", default="", help="a few words on what was tried")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.experiments import DOCUMENT, EXPERIMENTS, markdown_table, publish, read, row_of

    rows = read()
    rows += [row for folder in options.folder if (row := row_of(folder, options.note)) not in rows]
    publish(rows)
    print(f"{markdown_table(rows)}\n\nWritten: {EXPERIMENTS} and the table in {DOCUMENT}")
    return OK
