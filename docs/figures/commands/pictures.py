"""``python -m docs.figures pictures``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("pictures", help="take the documents' pictures of report, web page and command lines")
    parser.add_argument("dir", type=Path, help="a folder with what export, drift, bench, report and web wrote")
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from docs.figures.pictures import pictures

    for path in pictures(options.dir):
        print(f"Written: {path}")
    return OK
