"""``serve``: a web page on the device that shows the camera's picture, the prediction and the last events."""

import argparse
import os
import sys

from runtime.camera.inbox import Inbox
from runtime.classifier import Classifier
from runtime.commands import UNUSABLE, add_model, stream
from runtime.events.session import Listener
from runtime.system.signals import Stop

EPILOG = """\
The page is at http://localhost:8080/. Programs read /api/state and /frame.jpg, and /health tells whether frames arrive.
--host 0.0.0.0 makes it reachable from the network; everybody then needs the token in EDGECNN_TOKEN, once as
/?token=TOKEN or in each request as "Authorization: Bearer TOKEN". The connection is not encrypted: use a TLS proxy if
others can listen. Events are printed as by stream. Needs waitress.

exit status:
  the same as for stream

examples:
  PROGRAM serve model_int8.onnx --camera rpicam
  EDGECNN_TOKEN=$(openssl rand -hex 16) PROGRAM serve model_int8.onnx --camera 0 --host 0.0.0.0"""

TOKEN = "EDGECNN_TOKEN"  # noqa: S105 - the name of an environment variable


def port(text: str) -> int:
    """Parse a TCP port."""
    if not text.isdecimal() or not int(text[:6]) == int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535 (0: any free port), got {text[:40]!r}")
    return int(text)


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    add_model(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this device only)"
    )
    parser.add_argument("--port", type=port, default=8080, help="port to listen on (default: 8080)")
    stream.add_reading(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until the frames end or a signal arrives."""
    from runtime.serve.app import App
    from runtime.serve.live import Live
    from runtime.serve.server import LOOPBACK, Server, check_token

    token = os.environ.get(TOKEN) or None
    check_token(options.host, token)
    if not stream.has_frames(options):
        return UNUSABLE
    servers: list[Server] = []

    def page(classifier: Classifier, inbox: Inbox) -> list[Listener]:
        live = Live(inbox, classifier.path.name)
        server = Server(App(live, token, None if token else LOOPBACK), options.host, options.port)
        servers.append(server)
        name = "localhost" if options.host in LOOPBACK else options.host
        print(f"serve: http://{name}:{server.port}/{'?token=…' if token else ''}", file=sys.stderr)
        return [live]

    try:
        return stream.follow(options, Stop(), page)
    finally:
        for server in servers:
            server.close()
