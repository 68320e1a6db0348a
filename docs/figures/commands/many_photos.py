"""``python -m docs.figures many-photos``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("many-photos", help="measure the memory for fitting a network to many photos")
    parser.add_argument("photos", type=int, nargs="*", help="numbers of painted photos; none: write the table again")
    parser.add_argument("--side", type=int, default=96, help="side of the photos in pixels (default: %(default)s)")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.many_photos import DOCUMENT, FIGURES, many_photos_table, measure, publish, say
    from pipeline import artifacts

    rows = []
    for photos in options.photos:
        rows.append(measure(photos, options.side))
        say(rows[-1])
    rows = rows or artifacts.read_json(FIGURES)
    publish(rows)
    print(f"{many_photos_table(rows)}\n\nWritten: {FIGURES} and the table in {DOCUMENT}")
    return OK
