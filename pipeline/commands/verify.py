"""``python -m pipeline verify``."""

import argparse
from pathlib import Path

from pipeline.commands import FAILED, OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("verify", help="hold exported files against Keras; exit status 1 on any breach")
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.verify import format_report, verify

    report = verify(options.dir)
    print(format_report(report))
    print(f"Written: {options.dir}/verify.json")
    return OK if report["passed"] else FAILED
