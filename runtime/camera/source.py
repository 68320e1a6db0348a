"""The interface of a source of frames."""

from collections.abc import Iterable, Iterator
from typing import Protocol

SILENT_S = 15.0
"""A camera that has given no frame for this long is opened again."""


class Source(Protocol):
    """Where JPEG frames come from."""

    def connections(self) -> Iterator[Iterable[bytes]]:
        """One stream of bytes after the other; a frame never goes on from one into the next.

        Raises:
            InterruptedError: the process was asked to stop.
            OSError: it cannot be read, and trying again is no use.
        """

    def close(self) -> None:
        """Let go of it, from any thread; who waits for it waits no longer."""


class Connection(Protocol):
    """A camera that has been opened once."""

    def chunks(self) -> Iterator[bytes]:
        """What it sends.

        Raises:
            CameraError: it has stopped, and why.
            InterruptedError: the process was asked to stop.
        """

    def close(self) -> None:
        """End it, from any thread."""
