"""``python -m docs.figures own-photos``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("own-photos", help="add networks fitted to photos as rows of docs/own-photos.md")
    parser.add_argument("folder", type=Path, nargs="*", help="folders that train wrote; none: write the table again")
    parser.add_argument("--opened", type=Path, metavar="FOLDER", help="also add the result of train --open-stages")
    parser.add_argument(
        "--student", type=Path, metavar="FOLDER", help="also add student and teacher of train --student"
    )
    parser.add_argument("--few", action="store_true", help="also measure training on 20 photos per class")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.own_photos import (
        DOCUMENT,
        FIGURES,
        few_shots,
        opened_of,
        photos_table,
        publish,
        renewed,
        row_of,
        student_of,
    )
    from pipeline import artifacts

    kept = artifacts.read_json(FIGURES) if FIGURES.exists() else []
    new = [row_of(folder) | ({"few": few_shots(folder)} if options.few else {}) for folder in options.folder]
    rows = renewed(new, kept)
    more = [opened_of(options.opened)] if options.opened else []
    more += [student_of(options.student)] if options.student else []
    for tried in more:
        rows = [row | tried if row["photos"] == tried["photos"] else row for row in rows]
    publish(rows)
    print(f"{photos_table(rows)}\n\nWritten: {FIGURES} and the table in {DOCUMENT}")
    return OK
