"""The options that say which model is meant and what it expects."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.export.load import Source


def add(parser: argparse.ArgumentParser) -> None:
    """Register them."""
    parser.add_argument("--model", type=Path, required=True, help="a .keras or .h5 file")
    group = parser.add_argument_group(
        "what the model expects",
        "Of pixels 0 to 255 it gets ((pixel * scale + offset) - mean) / std; one number for all channels, or three. "
        "A model that scales by itself, as EfficientNet of keras.applications does, takes --scale 1.",
    )
    group.add_argument(
        "--classes", type=Path, metavar="FILE", help="class names, one a line (default: history.json beside the model)"
    )
    group.add_argument("--scale", type=float, nargs="+", metavar="X", default=[1 / 255], help="default: 1/255")
    group.add_argument("--offset", type=float, nargs="+", metavar="X", default=[0.0], help="default: 0")
    group.add_argument("--mean", type=float, nargs="+", metavar="X", default=[0.0], help="default: 0")
    group.add_argument("--std", type=float, nargs="+", metavar="X", default=[1.0], help="default: 1")


def source(options: argparse.Namespace) -> "Source":
    """What the options say.

    Raises:
        ExportError: an unreadable list of classes, or numbers that make no scaling.
    """
    from pipeline.export.load import Source, read_class_list
    from pipeline.export.scaling import PixelScaling

    numbers = (tuple(values) for values in (options.scale, options.offset, options.mean, options.std))
    names = read_class_list(options.classes) if options.classes else None
    return Source(options.model, names, PixelScaling.of(*numbers))
