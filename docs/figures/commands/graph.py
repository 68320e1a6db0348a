"""``python -m docs.figures graph``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("graph", help="time our files against those of the stock converters")
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    parser.add_argument("--rounds", type=int, default=20, help="interleaved rounds (default: 20)")
    parser.set_defaults(tensorflow_threads=1, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.graph import benchmark_graph, format_graph_benchmark

    print(format_graph_benchmark(benchmark_graph(options.dir, options.rounds)))
    print(f"Written: {options.dir}/benchmark_graph.json")
    return OK
