"""Frames that come through a pipe: standard input."""

import os
import select
from collections.abc import Iterable, Iterator

from runtime.system.signals import Stop

READ_BYTES = 1 << 18


class Pipe:
    """A descriptor that another program writes to.

    Args:
        descriptor: to be read from; it may be one that does not block.
        stop: ends the wait for more.
    """

    def __init__(self, descriptor: int, stop: Stop | None = None) -> None:
        self._descriptor, self._stop = descriptor, stop

    def connections(self) -> Iterator[Iterable[bytes]]:
        """The only one there is."""
        yield self._chunks()

    def close(self) -> None:
        """It is not ours to close."""

    def _chunks(self) -> Iterator[bytes]:
        while True:
            wait_for(self._descriptor, self._stop)
            try:
                chunk = os.read(self._descriptor, READ_BYTES)
            except BlockingIOError:  # who shares a non-blocking stdin with this process has been faster
                continue
            if not chunk:
                return
            yield chunk


def wait_for(descriptor: int, stop: Stop | None, seconds: float | None = None) -> bool:
    """Whether a descriptor can be read from in this time.

    Raises:
        InterruptedError: a signal came, which is no end at which the frame that has begun would be a broken one.
    """
    if os.name != "posix":  # Windows selects sockets alone
        return True
    waited_for: list[int | Stop] = [descriptor] if stop is None else [descriptor, stop]
    readable = select.select(waited_for, [], [], seconds)[0]
    if stop is not None and stop in readable:
        raise InterruptedError
    return bool(readable)
