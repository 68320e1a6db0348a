"""``python -m pipeline export``."""

import argparse
from pathlib import Path

from pipeline.commands import FAILED, OK, Commands, source_options


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser("export", help="write the ONNX and TFLite files of a model and verify them")
    source_options.add(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it."""
    from pipeline.export import export
    from pipeline.verify import format_report, verify

    export(source_options.source(options), options.out)
    report = verify(options.out)
    print(format_report(report))
    print(f"Written: {options.out}/ (model files, manifest.json, verify.json)")
    return OK if report["passed"] else FAILED
