"""``--camera``: open the named camera, and open it again whenever it stops sending frames."""

import re
import time
from collections.abc import Callable, Iterable, Iterator

from runtime.camera.source import Connection, Source
from runtime.errors import CameraError
from runtime.system.signals import Stop
from runtime.text import say

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STEADY_S = 30.0
"""After a camera has worked for this long, pauses are short again. A loose plug therefore does not fill the log."""


Open = Callable[[], Connection]


class Camera:
    """A ``Source`` that opens a camera, and opens it again when it stops, with increasing pauses.

    Args:
        opens: functions that open it; if one gives no frames, the next is tried.
        stop: ends waiting.
        say: called with each new reason why the camera stopped, and when it works again.
        first_wait_s: first pause in seconds; each pause is twice the one before, at most ``LONGEST_WAIT_S``.
    """

    def __init__(
        self, opens: list[Open], stop: Stop, say: Callable[[str], None] = say, first_wait_s: float = FIRST_WAIT_S
    ) -> None:
        self._opens, self._stop, self._say, self._first_wait_s = opens, stop, say, first_wait_s
        self._connection: Connection | None = None
        self._closed = self._has_worked = self._gave = False

    def connections(self) -> Iterator[Iterable[bytes]]:
        """Implement ``Source``; ends when the camera is closed.

        Raises:
            CameraError: the camera has never worked, and no function in ``opens`` could open it.
        """
        wait_s, said, attempt = self._first_wait_s, "", 0
        while not self._closed:
            self._gave, opened_s, reason = False, time.monotonic(), ""
            try:
                connection = self._connection = self._opens[attempt % len(self._opens)]()
                yield self._chunks(connection, said)
            except CameraError as error:
                reason = str(error)
            reason = reason or self._reason
            if self._closed:
                return
            if time.monotonic() - opened_s > STEADY_S:
                wait_s = self._first_wait_s
            if self._gave:
                said = ""
            else:
                attempt += 1
                if not self._has_worked and attempt >= len(self._opens):
                    raise CameraError(reason)
                if attempt % len(self._opens):
                    continue
            if reason != said:
                self._say(f"camera: {reason}; trying again")
                said = reason
            if self._stop.within(wait_s):
                raise InterruptedError
            wait_s = min(LONGEST_WAIT_S, 2 * wait_s)

    def close(self) -> None:
        """Implement ``Source``."""
        self._closed = True
        if self._connection:
            self._connection.close()

    def _chunks(self, connection: Connection, said: str) -> Iterator[bytes]:
        self._reason = "it has ended"
        try:
            for chunk in connection.chunks():
                if said and not self._gave:
                    self._say("camera: it is back")
                self._gave = self._has_worked = True
                yield chunk
        except CameraError as error:
            self._reason = str(error)
        finally:
            connection.close()


def open_camera(name: str, stop: Stop) -> Source:
    """Return the camera with this name: ``rpicam``, a number or ``/dev/videoN``, or the ``http://`` address of MJPEG.

    Raises:
        CameraError: unknown kind of camera, or the program that reads it is not installed.
    """
    if re.match(r"https?://", name, re.IGNORECASE):
        from runtime.camera.http import HttpConnection

        address = HttpConnection.address_of(name)
        say(f"camera: reads {address.shown}")
        return Camera([lambda: HttpConnection(address)], stop)
    from runtime.camera.program import ProgramConnection, commands

    ways = commands(name)
    say(f"camera: runs {' '.join(ways[0])}")
    return Camera([_opener(ProgramConnection, way, stop) for way in ways], stop)


def _opener(kind: Callable[[list[str], Stop], Connection], command: list[str], stop: Stop) -> Open:
    return lambda: kind(command, stop)
