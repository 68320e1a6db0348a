"""Make the pictures of the documents by running the commands that they show."""

import html
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from PIL import Image

from pipeline import artifacts
from pipeline.artifacts import atomic_path
from pipeline.data import samples
from pipeline.deploy.web.browser import launched
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

FOLDER = Path("docs/pictures")
MAX_BYTES = 200_000
COLORS = 128
WEBP_QUALITY = 80
PHOTO_SIDE = 480
TEST_IMAGE = 40
"""Index of a frog in CIFAR-10's test images in the repository."""

_TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #14181f; color: #dfe5ec; font: 15px/1.45 "DejaVu Sans Mono", monospace }}
pre {{ margin: 0; padding: 22px 26px; display: inline-block }} b {{ color: #7fd1ff; font-weight: normal }}
</style><pre>{text}</pre>"""


def pictures(folder: Path) -> list[Path]:
    """Make all pictures from an export folder and write them into ``docs/pictures``.

    Args:
        folder: that export, drift, bench, report and web wrote for the reference.

    Returns:
        The files, at most 200 KB each.

    Raises:
        PipelineError: a page is missing in the folder, or a picture is too large.
    """
    for name, command in ((artifacts.REPORT_PAGE, "make report"), ("web/index.html", "make web")):
        if not (folder / name).is_file():
            raise PipelineError(f"{folder / name}: not there; run {command} first")
    written = []
    with tempfile.TemporaryDirectory() as scratch, launched() as browser:
        photo = Path(scratch) / "photo.png"
        image = Image.fromarray(samples.read_test(artifacts.REFERENCE_DIR).pixels[TEST_IMAGE])
        image.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BICUBIC).save(photo)
        written.append(_explained(photo, Path(scratch)))
        written.append(_terminal(browser, photo))
        report = (folder / artifacts.REPORT_PAGE).resolve().as_uri()
        written.append(_saved("report.png", lambda path: _shot(browser, report, path, 1100, 1500)))
        written.append(_saved("report-phone.png", lambda path: _shot(browser, report, path, 390, 1100)))
        written.append(_saved("web.png", lambda path: _web(browser, folder / "web", photo, path)))
    return written


def own_photos(folder: Path) -> list[Path]:
    """Make the pictures of ``docs/own-photos.md`` from a folder that ``python -m pipeline photos`` wrote.

    Returns:
        The files, at most 200 KB each.

    Raises:
        PipelineError: the folder has no report, the report shows no wrong answers, or a picture is too large.
    """
    if not (folder / artifacts.REPORT_PAGE).is_file():
        raise PipelineError(f"{folder / artifacts.REPORT_PAGE}: not there; run make photos DATA=DIR first")
    report = (folder / artifacts.REPORT_PAGE).resolve().as_uri()
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.goto(report)
        names = {"mistakes": "own-photos-wrong.webp", "suspects": "own-photos-suspects.webp"}
        written = [_saved("own-photos-top.webp", lambda path: page.screenshot(path=path))]
        for section, name in names.items():
            found = page.locator(f"#{section}")
            if not found.count():
                raise PipelineError(
                    f"{report}: it has no section {section}; take photos of which some are answered wrongly"
                )
            written.append(_saved(name, partial(_shot_of, found)))
        page.close()
    return written


def _explained(photo: Path, scratch: Path) -> Path:
    model, large = artifacts.REFERENCE_DIR / artifacts.MODEL_KERAS, scratch / "explain.png"
    _output("pipeline", "explain", model, photo, "--out", large)
    with Image.open(large) as image:
        small = image.convert("RGB").resize((1280, 720), Image.Resampling.LANCZOS)
    return _saved("explain.png", small.save)


def _terminal(browser: "Browser", photo: Path) -> Path:
    model = artifacts.REFERENCE_DIR / artifacts.INT8_ONNX
    shown = []
    for arguments in (("classify", model, photo, "--top", "3"), ("inspect", model), ("verify", model)):
        said = _output("runtime", *arguments).replace(str(photo), photo.name).replace(f"{model.parent}/", "")
        typed = shlex.join(["python", "-m", "runtime", *(Path(str(part)).name for part in arguments)])
        shown.append(f"<b>$ {html.escape(typed)}</b>\n{html.escape(said.rstrip())}\n")
    page = browser.new_page(viewport={"width": 900, "height": 400})
    page.set_content(_TERMINAL.format(text="\n".join(shown)))
    try:
        return _saved("terminal.png", lambda path: page.locator("pre").screenshot(path=path))
    finally:
        page.close()


def _shot_of(found: "Locator", path: Path) -> None:
    found.screenshot(path=path)


def _shot(browser: "Browser", address: str, path: Path, width: int, height: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(address)
    page.screenshot(path=path)
    page.close()


def _web(browser: "Browser", site: Path, photo: Path, path: Path) -> None:
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(site))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page(viewport={"width": 760, "height": 900})
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_selector("#file:enabled")
        page.set_input_files("#file", photo)
        page.wait_for_selector(".answer[aria-busy=false]")
        page.screenshot(path=path)
        page.close()
        server.shutdown()


def _output(module: str, *arguments: object) -> str:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command


def _saved(name: str, save: Callable[[Path], object]) -> Path:
    """Save a picture as WebP, or as PNG with a palette, which looks the same with a quarter of the bytes.

    Raises:
        PipelineError: the file is larger than ``MAX_BYTES``.
    """
    path = FOLDER / name
    with atomic_path(path) as temporary:
        as_png = temporary.with_suffix(".png")
        save(as_png)
        with Image.open(as_png) as image:
            whole = image.convert("RGB")
        as_png.unlink()
        if path.suffix == ".webp":
            whole.save(temporary, "WEBP", quality=WEBP_QUALITY, method=6)
        else:
            whole.quantize(COLORS, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)
        if temporary.stat().st_size > MAX_BYTES:
            raise PipelineError(f"{path}: {temporary.stat().st_size:,} bytes, at most {MAX_BYTES:,} are kept in git")
    return path
