"""``python -m docs.figures pictures``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("pictures", help="take the documents' pictures of report, web page and command lines")
    parser.add_argument("dir", type=Path, help="a folder that export, drift, bench, report and web wrote")
    parser.add_argument(
        "--own-photos",
        action="store_true",
        help="make the pictures of docs/own-photos.md; DIR is a folder that python -m pipeline photos wrote",
    )
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.pictures import own_photos, pictures

    for path in (own_photos if options.own_photos else pictures)(options.dir):
        print(f"Written: {path}")
    return OK
