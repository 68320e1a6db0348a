"""``python -m docs.figures quantize-aware``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands, photo_options, source_options


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "quantize-aware",
        help="compare quantization-aware training with post-training quantization, for docs/quantization.md",
        description="Measures one row: a model before and after python -m pipeline fine-tune --quantize-aware.",
    )
    parser.add_argument("name", help="name of the row")
    parser.add_argument("model", type=Path, help="the model before fine-tuning")
    parser.add_argument("tuned", type=Path, help="the folder that fine-tune wrote")
    source_options.add(parser)
    photo_options.add_data(parser, "photos of the model's classes")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.quantize_aware import DOCUMENT, FIGURES, measure, publish
    from pipeline.export.load.model import load

    source = source_options.source(options)
    folder, images = photo_options.folder_of(options, source.path), None
    if folder:
        photos = photo_options.of_source(options, folder, load(source), source)
        images = photos.training, photos.validation
    print(publish(options.name, measure(source, options.tuned, images)))
    print(f"Written: {FIGURES} and the table of {DOCUMENT}")
    return OK
