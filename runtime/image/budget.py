"""Memory that all threads of a process share for decoding, so that large images wait for one another."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.image.header.base import MAX_MEMORY


class Budget:
    """So many bytes, of which each decoding takes its part while it runs.

    Args:
        total: bytes; a part that is larger waits until it is alone.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self.reset()

    def reset(self) -> None:
        """As if nobody had taken anything."""
        self._taken, self._changed = 0, threading.Condition()

    @contextmanager
    def taken(self, memory: int) -> Iterator[None]:
        """Wait until a number of bytes is free, and reserve them."""
        memory = min(memory, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._taken + memory <= self._total)
            self._taken += memory
        try:
            yield
        finally:
            with self._changed:
                self._taken -= memory
                self._changed.notify_all()


BUDGET = Budget(MAX_MEMORY)
"""That of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BUDGET.reset)  # the threads that hold parts of it are not in the child
