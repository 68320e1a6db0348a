"""``python -m pipeline explain``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands, source_options
from pipeline.commands.before_tensorflow import check_source
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec
from runtime.system.writing import check_writable
from runtime.text import for_terminal

ANY = ModelSpec(32, ("this", "that"))
"""A spec with arbitrary values: the photo is loaded with it only to check that it can be read."""


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "explain",
        help="draw a network's activations and a heat map for one image, and say why it chose its class",
        description="Draw the activations of a network for one image, and a heat map of the image parts that led to "
        "its answer; print the answer in a sentence.",
    )
    parser.add_argument("model", type=Path, help="a .keras or .h5 file")
    parser.add_argument("image", type=Path, help="any photo")
    source_options.add(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="file to write, 1920x1080")
    parser.add_argument("--heat-map", action="store_true", help="draw only the photo and the heat map, 1280x760")
    parser.set_defaults(tensorflow_threads=None, check=check, run=run)


def check(options: argparse.Namespace) -> None:
    """Refuse what can be refused before TensorFlow is loaded."""
    check_source(options)
    load_pixels(options.image, ANY)
    check_writable(options.out)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.data.photo_settings import spec_beside
    from pipeline.explain import explain
    from pipeline.export.load.model import load

    source = source_options.source(options)
    deployable = load(source)
    spec = spec_beside(source.path, deployable.side, deployable.class_names, deployable.width, **source.reading)
    found = explain(deployable, options.image, options.out, spec, heat_only=options.heat_map)
    print(f"{options.image}: {for_terminal(found.sentence)}\nWritten: {options.out}")
    return OK
