"""``python -m pipeline web``."""

import argparse
from pathlib import Path

from pipeline.commands import OK, Commands


def add(commands: Commands) -> None:
    """Register the command and its options."""
    parser = commands.add_parser(
        "web",
        help="write a page that runs model_int8.onnx in a browser, on pictures or the camera",
        description="Write a page that runs model_int8.onnx in a browser, on pictures or the camera; any web server "
        "can serve it.",
    )
    parser.add_argument("dir", type=Path, help="a folder that export wrote")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write (default: web/ in that folder)")
    parser.add_argument(
        "--onnxruntime-web", type=Path, metavar="DIR",
        help="an unpacked npm package onnxruntime-web (default: npm downloads it once and it is cached)",
    )  # fmt: skip
    parser.set_defaults(tensorflow=False, run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit status."""
    from pipeline.deploy.web import write_page
    from pipeline.deploy.web.engine import from_folder, from_npm

    out = options.out or options.dir / "web"
    engine = from_folder(options.onnxruntime_web) if options.onnxruntime_web else from_npm()
    write_page(options.dir, out, engine)
    print(f"Written: {out}/ (a folder for any web server). To look at it here:")
    print(f"  python -m http.server --bind 127.0.0.1 --directory {out}")
    print("and open http://127.0.0.1:8000/ in a browser")
    return OK
