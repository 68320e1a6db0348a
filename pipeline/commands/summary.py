"""``python -m pipeline summary``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("summary", help="print the network: shapes, parameters, multiply-accumulates")
    parser.add_argument("--side", type=int, default=32, help="height and width of the images (default: 32)")
    parser.add_argument("--classes", type=int, default=10, help="number of classes (default: 10)")
    parser.add_argument(
        "--filters", type=int, nargs="+", default=[16, 32, 64], help="channels a block (default: 16 32 64)"
    )
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.model import Architecture, build, format_summary, summarize

    print(format_summary(summarize(build(Architecture(options.classes, options.side, tuple(options.filters))))))
    return OK
