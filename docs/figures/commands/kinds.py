"""``python -m docs.figures kinds``."""

import argparse

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "kinds", help="train and export forty kinds of classifier for the table in docs/kinds.md"
    )
    parser.add_argument("--missing", action="store_true", help="measure only kinds that the table lacks")
    parser.set_defaults(tensorflow_threads=None, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from docs.figures.kinds.models import KINDS
    from docs.figures.kinds.table import DOCUMENT, FIGURES, measure, missing

    measure(missing(KINDS) if options.missing else KINDS, [kind.name for kind in KINDS])
    print(f"Written: {FIGURES} and the table in {DOCUMENT}")
    return OK
