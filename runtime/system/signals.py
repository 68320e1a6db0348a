"""SIGTERM and SIGINT for command lines that run until they are stopped."""

import os
import select
import signal
from types import FrameType


class Stop:
    """Hears SIGTERM and SIGINT from its making on; made in the main thread of a command line of ours, and there alone.

    It can be waited for with ``select``. A second signal of the same kind ends the process as if nobody heard it.

    Attributes:
        number: the signal that came, 0 before one has.
    """

    def __init__(self) -> None:
        self.number = 0
        self._asked, self._ask = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def fileno(self) -> int:
        """The descriptor that is readable once a signal has come."""
        return self._asked

    def within(self, seconds: float) -> bool:
        """Whether a signal has come, or comes in this time."""
        return bool(select.select([self], [], [], seconds)[0])

    def _hear(self, number: int, _: FrameType | None) -> None:
        self.number = self.number or number
        signal.signal(number, signal.SIG_DFL)
        os.write(self._ask, b".")
