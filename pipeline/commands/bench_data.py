"""``python -m pipeline bench-data``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("bench-data", help="time reading photos against Keras's own way")
    parser.add_argument("--out", type=Path, default=Path("artifacts/build"), metavar="DIR", help="folder to write")
    parser.add_argument("--side", type=int, default=32, help="height and width of the squares (default: 32)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.benchmark_data import benchmark_data, format_data_benchmark

    print(format_data_benchmark(benchmark_data(options.out, options.side, options.rounds)))
    print(f"Written: {options.out}/benchmark_data.json")
    return OK
