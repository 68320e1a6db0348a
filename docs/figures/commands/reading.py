"""``python -m docs.figures reading``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("reading", help="compare the time of reading photos with Keras's")
    parser.add_argument("--out", type=Path, default=Path("artifacts/build"), metavar="DIR", help="folder to write")
    parser.add_argument("--side", type=int, default=32, help="height and width of the squares (default: 32)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--publish", action="store_true", help="also write the figures into docs/training.md")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.reading import benchmark_data
    from docs.figures.reading.tables import format_data_benchmark, publish

    report = benchmark_data(options.out, options.side, options.rounds)
    print(format_data_benchmark(report))
    print(f"Written: {options.out}/benchmark_data.json")
    if options.publish:
        publish(report)
    return OK
