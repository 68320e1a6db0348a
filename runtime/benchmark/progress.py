"""Show on stderr how far a long measurement is."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 10.0
"""Where stderr is no terminal."""


@contextmanager
def show_progress() -> Iterator[Callable[[str], None]]:
    """A function that tells what is being done: on a terminal in one line, which is rewritten, else now and then.

    Where there is no terminal, what ends within ``EVERY_S`` says nothing.
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


class Countdown:
    """The time that is left, if what is to come takes as long as what was; ``steps`` are all that there are."""

    def __init__(self, steps: int) -> None:
        self._steps, self._start = steps, time.monotonic()

    def left(self, done: int) -> str:
        """The time left in words, after a number of steps; empty before the first."""
        if not done:
            return ""
        seconds = (time.monotonic() - self._start) / done * (self._steps - done)
        return f", about {seconds:.0f} s left" if seconds < 90 else f", about {seconds / 60:.0f} min left"
