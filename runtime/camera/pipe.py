"""Read frames from a pipe: standard input."""

import os
import select
from collections.abc import Iterable, Iterator

from runtime.system.signals import Stop

READ_BYTES = 1 << 18


class Pipe:
    """A ``Source`` that reads a pipe to which another program writes.

    Args:
        descriptor: file descriptor to read from, blocking or non-blocking.
        stop: ends waiting.
    """

    def __init__(self, descriptor: int, stop: Stop | None = None) -> None:
        self._descriptor, self._stop = descriptor, stop

    def connections(self) -> Iterator[Iterable[bytes]]:
        """Implement ``Source``; there is one connection."""
        yield self._chunks()

    def close(self) -> None:
        """Do nothing: the descriptor belongs to the caller."""

    def _chunks(self) -> Iterator[bytes]:
        while True:
            wait_for(self._descriptor, self._stop)
            try:
                chunk = os.read(self._descriptor, READ_BYTES)
            except BlockingIOError:  # another process that shares a non-blocking stdin has read the data
                continue
            if not chunk:
                return
            yield chunk


def wait_for(descriptor: int, stop: Stop | None, seconds: float | None = None) -> bool:
    """Wait until a descriptor is readable; return whether it is within this time (``None``: no limit).

    Raises:
        InterruptedError: a signal arrived. This is not the end of the stream, so an unfinished frame is not broken.
    """
    if os.name != "posix":  # on Windows, select works only for sockets
        return True
    waited_for: list[int | Stop] = [descriptor] if stop is None else [descriptor, stop]
    readable = select.select(waited_for, [], [], seconds)[0]
    if stop is not None and stop in readable:
        raise InterruptedError
    return bool(readable)
