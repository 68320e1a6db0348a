"""The interfaces ``Source`` and ``Connection`` of cameras."""

from collections.abc import Iterable, Iterator
from typing import Protocol

SILENT_S = 15.0
"""A camera that has sent nothing for this many seconds is opened again."""


class Source(Protocol):
    """A source of JPEG frames."""

    def connections(self) -> Iterator[Iterable[bytes]]:
        """Yield one stream of bytes after the other; a frame never continues in the next stream.

        Raises:
            InterruptedError: the process was asked to stop.
            OSError: the source cannot be read, and trying again is useless.
        """

    def close(self) -> None:
        """Close the source, from any thread; ends the wait of a thread that reads it."""


class Connection(Protocol):
    """A camera that has been opened once."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes that the camera sends.

        Raises:
            CameraError: the camera has stopped; the message says why.
            InterruptedError: the process was asked to stop.
        """

    def close(self) -> None:
        """Close the connection, from any thread."""
