"""``python -m docs.figures readme``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "readme",
        help="print an export folder's figures into README.md",
        description="Needs what export, verify and bench wrote of the reference into the folder, on all test images.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote, best with --formats ncnn")
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.readme import DOCUMENTS, FIGURES, gather, publish

    publish(gather(options.dir))
    print(f"Written: {FIGURES} and the tables of {', '.join(map(str, DOCUMENTS.values()))}")
    return OK
