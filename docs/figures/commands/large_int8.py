"""``python -m docs.figures large-int8``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "large-int8", help="export EfficientNet-Lite0: calibrate on half of 1,000 photos, judge on the other half"
    )
    parser.add_argument(
        "photos", type=Path, nargs="?", help="folder with a photo of each ImageNet class; none: write the table again"
    )
    parser.add_argument("--side", type=int, default=224, help="side of the images in pixels (default: 224)")
    parser.add_argument("--take", type=int, default=1_000, metavar="N", help="only N of the photos, chosen evenly")
    parser.add_argument("--quick", action="store_true", help="export without a search")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.large_int8 import DOCUMENT, FIGURES, measure, publish, tables
    from pipeline import artifacts

    rows = artifacts.read_json(FIGURES) if FIGURES.exists() else []
    if options.photos is not None:
        row = measure(options.photos, options.side, options.take, quick=options.quick)
        own = (row["side"], row["quick"])
        rows = sorted(
            [row, *(kept for kept in rows if (kept["side"], kept["quick"]) != own)],
            key=lambda kept: (kept["side"], not kept["quick"]),
        )
    publish(rows)
    print(f"{tables(rows)}\n\nWritten: {FIGURES} and the table in {DOCUMENT}")
    return OK
