"""Handle SIGTERM and SIGINT in commands that run until they are stopped."""

import os
import select
import signal
from types import FrameType


class Stop:
    """Handle SIGTERM and SIGINT from creation on; only for the main thread of one of our commands.

    ``select`` can wait for it. A second signal of the same kind has its default effect: it ends the process.

    Attributes:
        number: the signal that arrived; 0 before.
    """

    def __init__(self) -> None:
        self.number = 0
        self._asked, self._ask = os.pipe()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def fileno(self) -> int:
        """Return a file descriptor that becomes readable when a signal arrives."""
        return self._asked

    def within(self, seconds: float) -> bool:
        """Wait for a signal; return whether one has arrived, or arrives within this time."""
        return bool(select.select([self], [], [], seconds)[0])

    def _hear(self, number: int, _: FrameType | None) -> None:
        self.number = self.number or number
        signal.signal(number, signal.SIG_DFL)
        os.write(self._ask, b".")
