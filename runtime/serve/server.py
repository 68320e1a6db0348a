"""The HTTP server (waitress), with limits on threads, connections and memory."""

import logging
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from runtime.errors import OutputError, PackageMissingError
from runtime.serve.app import App
from runtime.serve.live import MAX_FRAME_BYTES

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
THREADS = 4
CONNECTIONS = 64
"""Most clients that are connected at the same time; others wait."""
RECV_BYTES = 64
"""Bytes that are read at once; they hold at most two requests, which are answered before more are read. Otherwise a
client that sends many requests and reads no answers would fill its output buffer and block a thread."""
IDLE_S, CLEANUP_S, CLOSE_S = 30, 5, 2.0
MAX_HEADER_BYTES, MAX_BODY_BYTES = 16_384, 1024
MIN_TOKEN = 16


def check_token(host: str, token: str | None) -> None:
    """Refuse to serve a network without a valid token.

    Raises:
        OutputError: the token is missing (except on the loopback interface), too short, or has invalid characters.
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
    """A stand-in for the module ``time`` in waitress, which would measure idle time with the adjustable wall clock."""

    time = staticmethod(time.monotonic)


class Server:
    """A web server with threads of its own. Answers to slow clients are buffered, and occupy no thread.

    Raises:
        PackageMissingError: waitress is not installed.
        OutputError: the port is in use, or the host does not exist.
    """

    def __init__(self, app: App, host: str, port: int) -> None:
        try:
            from waitress import channel, create_server, server, wasyncore
        except ImportError as error:
            raise PackageMissingError("serve needs waitress, which is not installed: pip install waitress") from error
        channel.time = server.time = _Steady  # both measure how long a client has been idle
        logging.getLogger("waitress").addHandler(logging.NullHandler())  # it would log each full queue to stderr
        listening = _listening(host, port)
        self.port = int(listening.getsockname()[1])
        self._channels: dict[int, Any] = {}
        self._close_channel = wasyncore.dispatcher.close
        self._server: Any = create_server(
            app,
            sockets=[listening],
            map=self._channels,
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=IDLE_S,
            cleanup_interval=CLEANUP_S,
            recv_bytes=RECV_BYTES,
            outbuf_overflow=3 * MAX_FRAME_BYTES,  # larger buffers would be written to files
            max_request_header_size=MAX_HEADER_BYTES,
            max_request_body_size=MAX_BODY_BYTES,
            ident=None,
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close all connections, and stop the server."""
        if not self._thread.is_alive():
            return
        self._server.trigger.pull_trigger(self._close_connections)
        self._thread.join(CLOSE_S)
        self._server.task_dispatcher.shutdown(timeout=CLOSE_S)
        if not self._thread.is_alive() and not self._server.task_dispatcher.threads:
            self._server.trigger.close()

    def _close_connections(self) -> None:
        """Close all sockets, and end the loop of the server's thread, which runs this.

        The trigger stays open: other threads may be about to write to its file descriptor.
        """
        for channel in list(self._server.active_channels.values()):
            with suppress(OSError):
                channel.handle_close()  # also wakes a thread that waits for the client to read
        with suppress(OSError):
            self._close_channel(self._server)
        self._channels.clear()


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
