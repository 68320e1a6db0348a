"""``python -m docs.figures drift``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "drift", help="simulate sites for docs/field.md: false alarms, and frames until a change"
    )
    parser.add_argument("--draw", action="store_true", help="only write the table again from docs/drift.json")
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.drift import FIGURES, drift_table, publish, simulate
    from pipeline import artifacts

    found = artifacts.read_json(FIGURES) if options.draw else simulate()
    publish(found)
    print(drift_table(found))
    return OK
