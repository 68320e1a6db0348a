"""Limit the memory that all threads of a process together use for decoding; threads wait when it is used up."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.image.header.base import MAX_MEMORY


class Budget:
    """A number of bytes that concurrent decodings share.

    Args:
        total: bytes; a larger request waits until no other decoding runs.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self.reset()

    def reset(self) -> None:
        """Release all reservations."""
        self._taken, self._changed = 0, threading.Condition()

    @contextmanager
    def taken(self, memory: int) -> Iterator[None]:
        """Wait until ``memory`` bytes are free, and reserve them inside the ``with`` block."""
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
"""The budget of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BUDGET.reset)  # the threads that hold reservations do not exist in the child
