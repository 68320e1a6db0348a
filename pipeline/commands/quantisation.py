"""``python -m pipeline quantisation``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "quantisation",
        help="print an export folder's figures into docs/quantisation.md",
        description="Needs what export, bench, bench-graph and drift wrote into the folder.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote, best with --recipes fp16 dynamic")
    parser.set_defaults(tensorflow_threads=1, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.quantisation import DOCUMENT, FIGURES, gather, publish

    publish(gather(options.dir))
    print(f"Written: {FIGURES} and the tables of {DOCUMENT}")
    return OK
