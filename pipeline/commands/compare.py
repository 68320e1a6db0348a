"""``python -m pipeline compare``."""

import argparse
import json
from pathlib import Path

from pipeline.commands import FAILED, OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "compare",
        help="judge two model files on the same test photos, and say whether to ship the new one",
        description="Judge two model files on the same test photos. Exit status: 0 if the new one is significantly "
        "more accurate, so ship it; 1 if not.",
    )
    parser.add_argument("old", type=Path, help="the model file that is in use")
    parser.add_argument("new", type=Path, help="the model file that may replace it")
    parser.add_argument(
        "--photos", type=Path, required=True, metavar="DIR",
        help="labeled photos that trained neither model: a folder for each class; if DIR has a test/ folder, give that",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.verify.compare import SHIP, compare, format_comparison

    found = compare(options.old, options.new, options.photos)
    print(json.dumps(found.entries(), indent=2) if options.json else format_comparison(found, options.old, options.new))
    return OK if found.verdict == SHIP else FAILED
