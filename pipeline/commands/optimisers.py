"""``python -m pipeline optimisers``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "optimisers",
        help="count what onnxslim and onnxscript leave of our graphs, for docs/quantisation.md",
        description="Needs both of them, which are no part of the environment: .venv/bin/pip install onnxslim "
        "onnxscript. Run it in a clone of the repository.",
    )
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(_options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline import artifacts
    from pipeline.benchmark_graph.optimisers import count_nodes
    from pipeline.quantisation import DOCUMENT, FIGURES, format_optimisers, publish

    counted = count_nodes()
    publish({**artifacts.read_json(FIGURES), "optimisers": counted})
    print(format_optimisers(counted))
    print(f"Written: {FIGURES} and the table of {DOCUMENT}")
    return OK
