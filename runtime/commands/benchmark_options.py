"""Options of both benchmarks: ``bench`` of ``pipeline`` and of ``runtime``."""

import argparse

from runtime.commands import duration, threads


def add(parser: argparse.ArgumentParser) -> None:
    """Register the options: engines, threads and seconds."""
    parser.add_argument(
        "--engines",
        nargs="+",
        metavar="NAME",
        help="measure only these engines (default: all; a wrong name lists them)",
    )
    parser.add_argument(
        "--threads",
        type=counts,
        metavar="N,…",
        help="numbers of threads to try, each in turn (default: 1, 2, … all cores)",
    )
    parser.add_argument(
        "--seconds", type=duration, metavar="S", default=2.0,
        help="seconds of timed single-image runs per contender; fast ones finish sooner (default: 2)",
    )  # fmt: skip


def counts(text: str) -> list[int]:
    """Parse numbers of threads, separated by commas."""
    return [threads(part) for part in text.split(",")]
