"""Serve a folder on the loopback interface while a browser looks at it."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Handler(http.server.SimpleHTTPRequestHandler):
    isolated = False

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        """Add what lets a page's clock tick finely and its threads share memory (cross-origin isolation)."""
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


class _IsolatedHandler(_Handler):
    isolated = True


@contextmanager
def serving(folder: Path, *, isolated: bool = False) -> Iterator[str]:
    """Yield the address of the folder, which ends in a slash; the port is any that is free."""
    handler = functools.partial(_IsolatedHandler if isolated else _Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
