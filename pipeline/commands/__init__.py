"""The commands of ``python -m pipeline``, one module each: ``add`` registers the command, ``run`` runs it.

The modules import TensorFlow and other slow packages inside ``run``, so that help and usage errors appear at once.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from runtime.text import say

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names it nowhere else


class WithExamples(argparse.HelpFormatter):
    """A formatter that wraps help to the terminal's width, but keeps the lines of a text that begins ``examples:``."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class FormerFlag(argparse.Action):
    """A hidden flag of earlier versions: does what its replacement does, and says the new name on stderr.

    Args:
        option_strings: the flag.
        current: the option that replaced it.
    """

    def __init__(self, option_strings: Sequence[str], *, current: argparse.Action, **_: object) -> None:
        super().__init__(
            option_strings, current.dest, nargs=current.nargs, const=current.const, default=argparse.SUPPRESS,
            choices=current.choices, help=argparse.SUPPRESS,
        )  # fmt: skip
        self.type, self._current = current.type, current

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        _option_string: str | None = None,
    ) -> None:
        """Say the new name, and set what the current option sets."""
        flag = self._current.option_strings[0]
        say(f"{self.option_strings[0]} is now {flag}")
        self._current(parser, namespace, values, flag)


class Command(Protocol):
    """A module of this folder."""

    def add(self, commands: Commands) -> None:
        """Register the command and its options, and set its ``run`` function as the parser default ``run``."""


def command_line(words: Iterable[str]) -> str:
    """Return the shell command that runs ``python -m pipeline`` with these words by this interpreter."""
    here, python = Path.cwd(), Path(sys.executable)
    interpreter = python.relative_to(here) if python.is_relative_to(here) else python
    return shlex.join([str(interpreter), "-m", "pipeline", *words])
