"""A network camera that sends MJPEG over HTTP: as multipart, or as JPEG frames one after the other."""

import base64
import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from runtime.camera.source import SILENT_S
from runtime.errors import CameraError
from runtime.text import is_host

READ_BYTES = 1 << 16
PASSWORD = "EDGECNN_CAMERA_PASSWORD"  # noqa: S105 - the name of an environment variable
REFUSED = {
    401: "asks for a user and a password, or they are wrong: http://USER:PASSWORD@…",
    403: "does not let this user in",
    404: "has no such page",
}


@dataclass(frozen=True)
class Address:
    """The address of a camera.

    Attributes:
        is_secure: HTTPS instead of HTTP.
        host, port: of the server; ``None`` is the default port.
        target: path and query.
        shown: the address for messages, without user, password and query.
        credentials: value of the header ``Authorization``; empty: none.
    """

    is_secure: bool
    host: str
    port: int | None
    target: str
    shown: str
    credentials: str = field(default="", repr=False)


class HttpConnection:
    """An HTTP response of endless length.

    Raises:
        CameraError: the camera cannot be reached, or answers with an error or with text.
    """

    def __init__(self, address: Address, silent_s: float = SILENT_S) -> None:
        self._address, self._silent_s = address, silent_s
        kind = http.client.HTTPSConnection if address.is_secure else http.client.HTTPConnection
        connection = kind(address.host, address.port, timeout=silent_s)
        headers = {"Authorization": address.credentials} if address.credentials else {}
        try:
            connection.request("GET", address.target, headers=headers)
            self._socket: socket.socket = connection.sock
            self._response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise CameraError(self._why(error)) from error
        if self._response.status != 200:
            connection.close()
            status = self._response.status
            raise CameraError(f"{address.shown} {REFUSED.get(status, f'answers {status} {self._response.reason}')}")
        answered = self._response.getheader("Content-Type", "").partition(";")[0].strip().lower()
        if answered.startswith("text/"):
            connection.close()
            raise CameraError(
                f"{address.shown} answers with {answered[:80]}, expected MJPEG: give the address of the stream"
            )

    @staticmethod
    def address_of(url: str) -> Address:
        """Parse a URL; if it has a user but no password, the password is read from ``EDGECNN_CAMERA_PASSWORD``.

        Raises:
            CameraError: not a valid address.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise CameraError(f"not an address of a camera: {error}") from error
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not host or not is_host(host) or not target.isascii() or any(letter <= " " for letter in target):
            raise CameraError("not an address of a camera; expected such as http://camera.local/mjpeg")
        credentials = ""
        if parts.username is not None:
            password = unquote(parts.password) if parts.password is not None else os.environ.get(PASSWORD, "")
            pair = f"{unquote(parts.username)}:{password}"
            credentials = "Basic " + base64.b64encode(pair.encode()).decode()
        shown = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"
        return Address(parts.scheme.lower() == "https", host, port, target, shown, credentials)

    def chunks(self) -> Iterator[bytes]:
        """Implement ``Connection``."""
        while True:
            try:
                chunk = self._response.read1(READ_BYTES)
            except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
                # ValueError and AttributeError: another thread has closed the connection.
                raise CameraError(self._why(error)) from error
            if not chunk:
                raise CameraError(f"{self._address.shown} has ended the stream")
            yield chunk

    def close(self) -> None:
        """Implement ``Connection``; a thread that is reading gets the end of the stream."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _why(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"{self._address.shown} has given nothing for {self._silent_s:g} s"
        reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
        return f"{self._address.shown} cannot be read: {reason}"
