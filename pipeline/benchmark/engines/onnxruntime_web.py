"""Benchmark ONNX Runtime Web (WebAssembly) in a page of a headless browser, as a phone would run it."""

import base64
import json
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import artifacts
from pipeline.benchmark.engines import DeskBackend
from pipeline.deploy.web import PAGE_FILES
from pipeline.deploy.web.browser import INSTALL, launched, why_no_browser
from pipeline.deploy.web.engine import VERSION, cached, from_npm
from pipeline.deploy.web.serve import serving
from runtime import Classifier
from runtime.benchmark.timed_model import Facts, TimedModel
from runtime.engines.base import Pixels, Probabilities

_HALF = Path(__file__).with_suffix(".js")
_PAGE = b"<!doctype html><title>bench</title>"


class _PageTimedModel(TimedModel):
    """A model in a browser's page; the browser ends with this process."""

    def __init__(self, folder: Path, threads: int) -> None:
        path = folder / artifacts.INT8_ONNX
        with Classifier(path) as classifier:
            spec, golden = classifier.spec, classifier.golden()
        files = {
            "index.html": _PAGE,
            "model.onnx": path.read_bytes(),
            **{source.name: source.read_bytes() for source in (_HALF, *PAGE_FILES.glob("*.js"))},
            **from_npm().files,
        }
        self._stack = stack = ExitStack()  # kept, because it closes the browser when it is garbage-collected
        self._page = stack.enter_context(launched()).new_page()
        self._page.goto(stack.enter_context(serving(files)) + "index.html")
        self._sent: set[int] = set()
        self._photo: str | None = None
        self._ask("open", json.loads(spec.to_json()), threads)
        black = np.zeros((1, *spec.shape), np.uint8)
        super().__init__(
            self._answer,
            golden.pixels if golden else black,
            Facts("golden set" if golden else "black", spec.accuracy, spec.accuracy_images or None),
        )

    def time(self, batch: int, runs: int) -> list[int]:
        """Time runs with the page's clock, which has a resolution of 5 µs; calling the page is not timed."""
        if batch not in self._sent:
            self._ask("use", batch, [_encoded(values) for values in self._of(batch)])
            self._sent.add(batch)
        nanoseconds: list[int] = self._ask("time", batch, self._next, runs)
        self._next += runs
        return nanoseconds

    def use(self, path: str) -> None:
        """Use the images in an ``.npy`` file, uint8 (N, H, W, 3), for timing."""
        super().use(path)
        self._sent.clear()

    def peak_memory_bytes(self) -> int:
        """Return the peak resident memory of the browser's process for the page; if unknown, of this process."""
        return max(map(_peak_of_renderer, descendants(os.getpid())), default=0) or super().peak_memory_bytes()

    def photo(self, path: str, runs: int) -> dict[str, list[int]] | None:
        """Time the page's own preprocessing; ``None`` if the browser cannot read the file."""
        if path != self._photo:
            if not self._ask("take", base64.b64encode(Path(path).read_bytes()).decode()):
                return None
            self._photo = path
        nanoseconds: dict[str, list[int]] = self._ask("photo", runs)
        return nanoseconds

    def _answer(self, pixels: Pixels) -> Probabilities:
        return np.array(self._ask("run", _encoded(pixels)), np.float32).reshape(len(pixels), -1)

    def _ask(self, call: str, *arguments: Any) -> Any:
        code = f"async (values) => (await import('./{_HALF.name}')).{call}(...values)"
        return self._page.evaluate(code, list(arguments))


def _encoded(pixels: Pixels) -> str:
    return base64.b64encode(pixels.tobytes()).decode()


def descendants(process: int) -> list[int]:
    """Return the ids of all descendants of a process; none if the system is not Linux."""
    found: list[int] = []
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has ended since
            found += map(int, file.read_text(encoding="ascii").split())
    return [*found, *(deeper for child in found for deeper in descendants(child))]


def _peak_of_renderer(process: int) -> int:
    try:
        if b"--type=renderer" not in Path(f"/proc/{process}/cmdline").read_bytes():
            return 0
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:  # it has ended since
        return 0
    return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")), 0)


def _missing() -> str | None:
    return why_no_browser() or (None if cached() else "the npm package onnxruntime-web is not in the cache")


BACKEND = DeskBackend(
    f"ONNX Runtime Web {VERSION}",
    artifacts.INT8_ONNX,
    _PageTimedModel,
    _missing,
    f"python -m pipeline web DIR; {INSTALL}",
)
