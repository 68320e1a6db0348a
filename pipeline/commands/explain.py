"""``python -m pipeline explain``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands, source_options
from runtime.text import for_terminal


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "explain", help="draw what a network makes of one image and where it looked, and say why"
    )
    parser.add_argument("model", type=Path, help="a .keras or .h5 file")
    parser.add_argument("image", type=Path, help="any photo")
    source_options.add(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="file to write, 1920x1080")
    parser.add_argument(
        "--heat-map", action="store_true", help="draw the photo and where the network looked alone, 1280x760"
    )
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.data.photo_settings import spec_beside
    from pipeline.explain import explain
    from pipeline.export.load.model import load

    source = source_options.source(options)
    deployable = load(source)
    spec = spec_beside(source.path, deployable.side, deployable.class_names, deployable.width, **source.reading)
    found = explain(deployable, options.image, options.out, spec, heat_only=options.heat_map)
    print(f"{options.image}: {for_terminal(found.sentence)}\nWritten: {options.out}")
    return OK
