"""``python -m docs.figures reference``."""

import argparse
from pathlib import Path

from pipeline.commands import FAILED, OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("reference", help="ship a trained model as the reference, with its exports")
    parser.add_argument("--train", type=Path, required=True, help="a folder that train wrote")
    parser.add_argument("--out", type=Path, required=True, help="the reference folder")
    parser.add_argument(
        "--network", action="store_true", help="a further network: ship its Keras file, history and int8 files alone"
    )
    parser.set_defaults(tensorflow_threads=1, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.reference import ship, ship_network

    passed = (ship_network if options.network else ship)(options.train, options.out)
    printed = "python -m docs.figures networks" if options.network else "make readme"
    print(f"Written: {options.out}/; {printed} prints its figures into README.md")
    return OK if passed else FAILED
