"""The HTTP server of the labeling page, only on the loopback interface."""

import errno
import http.server
import json
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pipeline.errors import DataError
from pipeline.label.queue import Queue

PAGE = Path(__file__).parent / "page"
FILES = {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css"}
HOSTS = {"localhost", "127.0.0.1"}
MAX_BODY_BYTES = 10_000
HEADER = "X-Edgecnn"
"""Required in POST requests. Pages of other sites cannot send it without CORS permission, which is not given."""


@contextmanager
def serving(queue: Queue, port: int) -> Iterator[str]:
    """Serve the page of a queue in threads during the block; yield its address.

    Raises:
        DataError: the port is taken.
    """

    class Handler(_Handler):
        labeling, lock = queue, threading.Lock()

    try:
        bound = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise DataError(f"port {port} is taken: give another with --port") from error
    with bound as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    labeling: Queue
    lock: threading.Lock
    timeout = 30

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        path = self.path.partition("?")[0]
        if path in FILES:
            name = FILES[path]
            self._send(200, (PAGE / name).read_bytes(), mimetypes.guess_type(name)[0] or "")
        elif path == "/state":
            with self.lock:
                self._send_state()
        elif path.startswith("/picture/"):
            with self.lock:
                frame = self.labeling.current
            if frame is None or frame.path.name != unquote(path.removeprefix("/picture/")):
                self._send(404, b"", "text/plain")
            else:
                kind = mimetypes.guess_type(frame.path.name)[0] or "application/octet-stream"
                self._send(200, frame.path.read_bytes(), kind)
        else:
            self._send(404, b"", "text/plain")

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        length = self.headers.get("Content-Length", "")
        if self.headers.get(HEADER) != "label" or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            self._send(403, b"", "text/plain")
            return
        try:
            asked = json.loads(self.rfile.read(int(length)))
            with self.lock:
                self._do(self.path, asked)
                self._send_state()
        except (DataError, OSError) as error:
            self._send(409, json.dumps({"error": str(error)}).encode(), "application/json")
        except (ValueError, TypeError, KeyError) as error:
            self._send(400, json.dumps({"error": f"not understood: {error}"}).encode(), "application/json")

    def _do(self, path: str, asked: Any) -> None:
        if path == "/label":
            self.labeling.label(str(asked["name"]), str(asked["label"]))
        elif path == "/discard":
            self.labeling.discard(str(asked["name"]))
        elif path == "/undo":
            self.labeling.undo()
        else:
            raise ValueError(path)

    def _is_ours(self) -> bool:
        """Check that the Host header names this machine (against DNS rebinding); else answer 403."""
        if self.headers.get("Host", "").partition(":")[0] in HOSTS:
            return True
        self._send(403, b"", "text/plain")
        return False

    def _send_state(self) -> None:
        self._send(200, json.dumps(self.labeling.state()).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""
