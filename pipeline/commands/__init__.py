"""Each command is a small file: ``add`` registers it, ``run`` runs it.

Each imports what it needs when it runs, so that help and usage errors come at once.
"""

import argparse
from typing import Protocol, TypeAlias

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names it nowhere else


class WithExamples(argparse.HelpFormatter):
    """Fits the help to the terminal, and leaves what begins with ``examples:`` as it is, to be copied."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("examples:") else super()._fill_text(text, width, indent)


class Command(Protocol):
    """A module of this folder."""

    def add(self, commands: Commands) -> None:
        """Register the command and its options; ``run`` among the defaults is what runs it."""
