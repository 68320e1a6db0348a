"""``python -m docs.figures soak``."""

import argparse
import signal
from pathlib import Path

from pipeline import artifacts
from pipeline.commands import FAILED, OK, Commands

DOCUMENTED = Path("docs/soak.json")


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "soak", help="run a device for an hour while camera, broker, disk, clock and power fail in turn; needs root"
    )
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--rate", type=float, default=30.0, help="frames a second (default: 30)")
    parser.add_argument("--model", type=Path, default=Path(artifacts.REFERENCE_DIR, artifacts.INT8_ONNX))
    parser.add_argument(
        "--out",
        type=Path,
        default=DOCUMENTED,
        help="JSON to write (default: docs/soak.json, and the table in docs/field.md)",
    )
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run it; SIGTERM is handled like Ctrl-C, so that no mount and no process is left behind."""
    from docs.figures.soak.run import soak
    from docs.figures.soak.table import publish

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = soak(options.model, options.minutes, options.rate)
    artifacts.write_json(options.out, found)
    if options.out == DOCUMENTED:
        publish(found)
    print(*(found["faults_found"] or ["all promises were kept"]), f"Written: {options.out}", sep="\n")
    return FAILED if found["faults_found"] else OK
