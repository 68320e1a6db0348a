"""The server of the application: a few threads, whatever the clients do."""

import logging
import socket
import threading
import time
from functools import partial
from typing import Any

from runtime.errors import OutputError, PackageMissingError
from runtime.serve.app import App
from runtime.serve.live import MAX_FRAME_BYTES

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
THREADS = 4
CONNECTIONS = 64
"""The most clients that are connected at once; others wait."""
RECV_BYTES = 64
"""Bytes of requests that are read at once, before they are answered: too few for more than two requests. Many requests
without reading their answers would fill the buffer of a client, and a thread would wait for room in it."""
IDLE_S, CLEANUP_S, CLOSE_S = 30, 5, 2.0
MAX_HEADER_BYTES, MAX_BODY_BYTES = 16_384, 1024
MIN_TOKEN = 16


def check_token(host: str, token: str | None) -> None:
    """Refuse to show a camera to a network without a token.

    Raises:
        OutputError: there is none, or it is too short, or of letters that do not go into a header.
    """
    if token is None:
        if host not in LOOPBACK:
            raise OutputError(
                f"--host {host} without a token would show the camera to everybody there: set EDGECNN_TOKEN to "
                f"{MIN_TOKEN} letters and digits or more, such as `openssl rand -hex 16` prints"
            )
    elif len(token) < MIN_TOKEN or not token.isascii() or not token.replace("-", "").replace("_", "").isalnum():
        raise OutputError(f"EDGECNN_TOKEN must be {MIN_TOKEN} or more letters, digits, - and _")


class _Steady:
    """In the place of the module ``time`` of those who would ask a clock that may be set."""

    time = staticmethod(time.monotonic)


class Server:
    """Serves an application from threads of its own. Clients that read slowly are buffered, and hold no thread.

    Raises:
        PackageMissingError: waitress is not installed.
        OutputError: the port is taken, or there is no such host.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        try:
            from waitress import channel, create_server, server, wasyncore
        except ImportError as error:
            raise PackageMissingError("serve needs waitress, which is not installed: pip install waitress") from error
        channel.time = server.time = _Steady  # they ask how long a client has been idle
        logging.getLogger("waitress").addHandler(logging.NullHandler())  # or it tells stderr of every busy moment
        listening = _listening(host, port)
        self.port = int(listening.getsockname()[1])
        self._channels: dict[int, Any] = {}
        self._close_all = partial(wasyncore.close_all, self._channels, ignore_all=True)
        self._server: Any = create_server(
            app,
            sockets=[listening],
            map=self._channels,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_S,
            cleanup_interval=CLEANUP_S,
            recv_bytes=RECV_BYTES,
            outbuf_overflow=3 * MAX_FRAME_BYTES,  # more would go to files
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=MAX_BODY_BYTES,
            ident=None,
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let all clients go."""
        if self._thread.is_alive():
            self._server.trigger.pull_trigger(self._close_all)  # in its own thread, which ends without any channel
            self._thread.join(CLOSE_S)
            self._server.task_dispatcher.shutdown(timeout=CLOSE_S)


def _listening(host: str, port: int) -> socket.socket:
    listening = None
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except (OSError, ValueError) as error:
        if listening:
            listening.close()
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{host}:{port} cannot be served: {reason}; choose another --host or --port") from error
    return listening
