"""``python -m pipeline bench``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands, photo_options


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("bench", help="compare latency across backends")
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    photo_options.add_data(parser, "photos of the model's classes to judge on (default: CIFAR-10's test images)")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default: 20)")
    parser.set_defaults(tensorflow_threads=1, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.benchmark import benchmark, format_benchmark

    print(format_benchmark(benchmark(options.dir, options.rounds, photo_options.test_images(options, options.dir))))
    print(f"Written: {options.dir}/benchmark.json")
    return OK
