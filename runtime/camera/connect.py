"""``--camera``: find the camera that it names, and open it again whenever it stops giving frames."""

import re
import time
from collections.abc import Callable, Iterable, Iterator

from runtime.camera.source import Connection, Source
from runtime.errors import CameraError
from runtime.system.signals import Stop
from runtime.text import say

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0
STEADY_S = 30.0
"""After a camera has worked for this long the pauses are short again; so a bad plug does not fill the log."""


Open = Callable[[], Connection]


class Camera:
    """Opens a camera, and again when it stops, with longer and longer pauses. A ``Source``.

    Args:
        opens: ways to open it; the next one is tried when one has given nothing.
        stop: ends waiting.
        say: is called with each new reason why it stopped, and when it is back.
        first_wait_s: the first pause; each is twice the one before, and 30 s at most.
    """

    def __init__(
        self, opens: list[Open], stop: Stop, say: Callable[[str], None] = say, first_wait_s: float = FIRST_WAIT_S
    ) -> None:
        self._opens, self._stop, self._say, self._first_wait_s = opens, stop, say, first_wait_s
        self._connection: Connection | None = None
        self._closed = self._has_worked = self._gave = False

    def connections(self) -> Iterator[Iterable[bytes]]:
        """As of ``Source``; ends when it is closed.

        Raises:
            CameraError: it could not be opened at all, in any way.
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
        """As of ``Source``."""
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
    """The camera that a user names: ``rpicam``, a number or ``/dev/videoN``, or an ``http://`` address of MJPEG.

    Raises:
        CameraError: no such kind of camera, or the program that reads it is not installed.
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
