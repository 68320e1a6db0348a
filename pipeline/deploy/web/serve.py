"""Serve a few files from memory on the loopback interface, for a browser on this machine."""

import http.server
import mimetypes
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve files on a free port during the block; yield their address, which ends in a slash.

    The pages are cross-origin isolated: their clocks have a resolution of 5 µs, and their threads may share memory.

    Args:
        files: name -> content.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path.removeprefix("/"))
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", mimetypes.guess_type(self.path)[0] or "application/octet-stream")
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
