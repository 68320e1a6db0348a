"""``python -m pipeline summary``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "summary",
        help="print a network: shapes, parameters, multiply-accumulates, int8 weight bytes",
        description="Print the layers of a network that train can build, with shapes, parameters, multiply-accumulates "
        "and the bytes of int8 weights.",
    )
    parser.add_argument(
        "--model", metavar="NAME", default="notes", help="notes, resnet8, vgg8, separable or teacher (default: notes)"
    )
    parser.add_argument(
        "--side", type=int, metavar="N", default=32, help="height and width of the images (default: 32)"
    )
    parser.add_argument("--classes", type=int, metavar="N", default=10, help="number of classes (default: 10)")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.models import PRESETS, build, format_summary, summarize

    model = build(options.model, options.classes, options.side)
    print(f"{options.model}: {PRESETS[options.model].purpose}")
    print(format_summary(summarize(model)))
    return OK
