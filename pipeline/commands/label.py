"""``python -m pipeline label``."""

import argparse
import threading
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "label",
        help="label the frames that a device has kept, on a web page of this machine",
        description="Label the frames that a device has kept, on a web page. Each labeled frame moves into the "
        "folder of its class. Ctrl-C ends the page; labels given so far are kept.",
    )
    parser.add_argument("dir", type=Path, help="a folder of frames that --keep of the runtime wrote")
    parser.add_argument(
        "--photos", type=Path, required=True, metavar="DIR",
        help="folder with a folder for each class; missing ones are created; if it has train/ and val/, give train/",
    )  # fmt: skip
    parser.add_argument("--port", type=int, default=8090, help="the page's port (default: %(default)s)")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser; the address is printed")
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    import webbrowser

    from pipeline.label import Queue, serving
    from pipeline.label.queue import describe

    queue = Queue(options.dir, options.photos)
    print(describe(queue))
    with serving(queue, options.port) as address:
        print(f"Label them at {address} (Ctrl-C ends)", flush=True)
        if not options.no_browser:
            webbrowser.open(address)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            state = queue.state()
            print(f"{state['done']:,} labeled or discarded, {state['left']:,} left; the photos are in {options.photos}")
    return OK
