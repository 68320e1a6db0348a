"""The commands: one module each, with ``EPILOG`` (notes, exit status, examples), ``add`` (arguments) and ``run``."""

import argparse

from runtime.system.processors import thread_count_error

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
LONGEST_S = 86_400.0


def positive(text: str) -> int:
    """Parse a whole number of 1 or more."""
    if not text.isdecimal() or not 1 <= int(text[:9]) == int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text[:40]!r}")
    return int(text)


def duration(text: str) -> float:
    """Parse a time in seconds, above 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_S:  # false for a NaN, too
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0, got {text[:40]!r}")
    return seconds


def threads(text: str) -> int:
    """Parse a number of threads that this machine can run."""
    count = positive(text)
    if reason := thread_count_error(count):
        raise argparse.ArgumentTypeError(f"expected {reason}")
    return count


def add_model(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Register the arguments MODEL, --threads and --engine."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="+" if several else None,
        help="a model file, such as model_int8.onnx; or a folder of them",
    )
    parser.add_argument("--threads", type=threads, help="threads of the engine (default: the choice of tune, else 1)")
    parser.add_argument(
        "--engine", metavar="NAME", help="engine that runs the file (default: by its suffix; doctor lists engines)"
    )


def add_json(parser: argparse.ArgumentParser, text: str = "print JSON") -> None:
    """Register --json."""
    parser.add_argument("--json", action="store_true", help=text)
