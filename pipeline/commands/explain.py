"""``python -m pipeline explain``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("explain", help="draw what a network makes of one image, layer by layer, for a slide")
    parser.add_argument("model", type=Path, help="a .keras or .h5 file")
    parser.add_argument("image", type=Path, help="any photo")
    parser.add_argument(
        "--classes", type=Path, metavar="FILE", help="class names, one a line (default: history.json beside the model)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="PNG", help="file to write, 1920x1080")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.data.folder import spec_beside
    from pipeline.explain import explain
    from pipeline.export.load import Source, load, read_class_list

    names = read_class_list(options.classes) if options.classes else None
    deployable = load(Source(options.model, names))
    spec = spec_beside(options.model, deployable.side, deployable.class_names)
    probabilities = explain(deployable, options.image, options.out, spec)
    best = int(probabilities.argmax())
    print(f"{options.image}: {deployable.class_names[best]}, {probabilities[best]:.1%}\nWritten: {options.out}")
    return OK
