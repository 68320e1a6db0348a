"""``python -m docs.figures quantization``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "quantization",
        help="print an export folder's figures into docs/quantization.md",
        description="Needs what export, verify, bench, drift and python -m docs.figures graph wrote into the folder.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote, best with --formats fp16 dynamic")
    parser.set_defaults(tensorflow_threads=1, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.quantization import DOCUMENT, FIGURES, gather, publish

    publish(gather(options.dir))
    print(f"Written: {FIGURES} and the tables of {DOCUMENT}")
    return OK
