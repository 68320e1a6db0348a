"""``python -m pipeline report``."""

import argparse
import sys
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "report",
        help="make one HTML page and a Markdown table from the results of export, verify, drift and bench",
        description="Make one HTML page and a Markdown table from the JSON files that export, verify, drift and bench "
        "wrote; no model is loaded. The page names the commands that were not run yet.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    parser.add_argument(
        "--add", type=Path, action="append", default=[], metavar="FILE",
        help="a benchmark of another device to show beside this one; may be given several times",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: the export folder)")
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline import artifacts
    from pipeline.report import report

    facts = report(options.dir, options.add, options.out)
    for line in facts.warnings:
        print(f"warning: {line}", file=sys.stderr)
    for absent in facts.absent.values():
        print(f"{'warning' if absent.unusable else 'hint'}: {absent}", file=sys.stderr)
    out = options.out or options.dir
    print(f"Written: {out / artifacts.REPORT_PAGE} and {out / artifacts.REPORT_TABLE}")
    return OK
