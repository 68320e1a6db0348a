"""Show the progress of a long measurement on stderr."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 10.0
"""Seconds between messages if stderr is not a terminal."""


@contextmanager
def show_progress() -> Iterator[Callable[[str], None]]:
    """Yield a function that prints progress messages: on a terminal in one line, which each message replaces.

    If stderr is not a terminal, at most one message per ``EVERY_S`` is printed, the first after ``EVERY_S``.
    """
    stream = sys.stderr
    if stream is None:
        yield lambda _: None
    elif stream.isatty():
        width = (os.get_terminal_size(stream.fileno()).columns or 80) - 1

        def rewrite(text: str) -> None:
            print(f"\r{text[:width]:<{width}}", end="", file=stream, flush=True)

        try:
            yield rewrite
        finally:
            print(f"\r{'':<{width}}\r", end="", file=stream, flush=True)
    else:
        last = time.monotonic()

        def add(text: str) -> None:
            nonlocal last
            if time.monotonic() - last >= EVERY_S:
                last = time.monotonic()
                print(text, file=stream, flush=True)

        yield add


def time_left(seconds: float | None) -> str:
    """Return the remaining time in words, as the end of a message; empty if it is not known yet (``None``)."""
    if seconds is None:
        return ""
    return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
