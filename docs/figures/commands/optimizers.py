"""``python -m docs.figures optimizers``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "optimizers",
        help="count the nodes of our graphs after onnxslim and onnxscript, for docs/quantization.md",
        description="Needs both packages, which are not part of the environment: .venv/bin/pip install onnxslim "
        "onnxscript. Run it in a clone of the repository.",
    )
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(_options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.optimizers import count_nodes
    from docs.figures.quantization import DOCUMENT, FIGURES, format_optimizers, publish
    from pipeline import artifacts

    counted = count_nodes()
    publish({**artifacts.read_json(FIGURES), "optimizers": counted})
    print(format_optimizers(counted))
    print(f"Written: {FIGURES} and the table of {DOCUMENT}")
    return OK
