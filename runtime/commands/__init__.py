"""The commands: one module each, with ``EPILOG`` (notes, exit status, examples), ``add`` (arguments) and ``run``."""

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

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


class Parser(argparse.ArgumentParser):
    """A parser whose errors suggest the option, the command or the choice whose name is close to a mistyped one.

    ``argparse`` first complains of required options that are missing, which hides the reason if one is mistyped, so
    unknown options are named in that message, too.

    Attributes:
        elsewhere: command lines of another program, such as ``python -m runtime classify``, by command; they are
            suggested for a mistyped command that resembles none of this program.
    """

    elsewhere: Mapping[str, str] = MappingProxyType({})
    _words: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as ``argparse`` does; keep the words for the message of an error."""
        self._words = args or ()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print usage, message and suggestions, and exit with status 2."""
        shown = {name: name for name, action in self._option_string_actions.items() if action.help != argparse.SUPPRESS}
        for flag in self._unknown():
            meant = suggestion(flag, shown)
            if meant or flag not in message:
                message += f"; there is no option {flag}{meant}"
        super().error(message)

    def _unknown(self) -> list[str]:
        """Return the words that look like long options and are none, without their values."""
        if self._subparsers:  # the words behind a command are its own
            return []
        flags = [word.partition("=")[0] for word in _before_separator(self._words) if word.startswith("--")]
        return [flag for flag in flags if not any(known.startswith(flag) for known in self._option_string_actions)]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            name, here = str(value), {str(choice): str(choice) for choice in action.choices or ()}
            error.message += suggestion(name, here) or suggestion(name, self.elsewhere)
            raise


def suggestion(name: str, known: Mapping[str, str]) -> str:
    """Return ", did you mean …?" with the value of the key that is closest to a mistyped name; empty if none is."""
    from difflib import get_close_matches  # rarely needed; keeps start-up fast

    close = get_close_matches(name, list(known), n=1)
    return f", did you mean {known[close[0]]}?" if close else ""


def _before_separator(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words
