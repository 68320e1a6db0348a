"""Each command is a small file with ``EPILOG`` (exit status and example), ``add`` (its arguments) and ``run``."""

import argparse

from runtime.system.processors import why_not_threads

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


def positive(text: str) -> int:
    """An argument that counts something."""
    if not text.isdecimal() or not 1 <= int(text[:9]) == int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text[:40]!r}")
    return int(text)


def threads(text: str) -> int:
    """An argument that is a number of threads which this machine can run."""
    count = positive(text)
    if reason := why_not_threads(count):
        raise argparse.ArgumentTypeError(f"expected {reason}")
    return count


def add_model(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """The argument that most commands begin with, and the engine's threads."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="+" if several else None,
        help="a model file, such as model_int8.onnx; or a folder of them",
    )
    parser.add_argument("--threads", type=threads, help="processor threads of the engine (default: 1, or as tuned)")
    parser.add_argument(
        "--engine", metavar="NAME", help="what runs the file (default: by its suffix; doctor lists them)"
    )


def add_json(parser: argparse.ArgumentParser, text: str = "print JSON") -> None:
    """The switch for machines."""
    parser.add_argument("--json", action="store_true", help=text)
