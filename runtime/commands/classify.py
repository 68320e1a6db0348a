"""``classify``: files, folders, globs or standard input to a line an image."""

import argparse
import glob
import json
import os
import sys
import time
from pathlib import Path

from runtime.classifier import Classifier, Prediction
from runtime.commands import FAILED, OK, UNUSABLE, add_model, positive
from runtime.errors import ImageError, ImageFileNotFoundError

EPILOG = """\
exit status:
  0 all classified, 1 some image failed (its line says why), 2 the model or the arguments are unusable

examples:
  PROGRAM classify model_int8.onnx photo.jpg --top 3
  PROGRAM classify model_int8.onnx photos/ --csv > answers.csv
  curl -s http://camera.local/still.jpg | PROGRAM classify model_int8.onnx -"""

SUFFIXES = {f".{name}" for name in "jpg jpeg jpe jfif png webp gif bmp tif tiff avif ppm pgm pbm".split(" ")}  # noqa: SIM905
"""What is taken for an image in a folder; a file named outright may be called anything."""
MAX_STDIN_BYTES = 1 << 28
BAR_AFTER_S, BAR_EVERY_S = 1.0, 0.2


def add(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_model(parser)
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="image files, folders (searched to the bottom), globs; - reads stdin"
    )
    parser.add_argument("--top", type=positive, default=5, help="how many classes to list (default: 5)")
    parser.add_argument("--workers", type=positive, help="threads that decode (default: one a processor)")
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument("--json", action="store_true", help="one JSON object a line")
    layout.add_argument("--csv", action="store_true", help="a header and a row an image")


def run(options: argparse.Namespace) -> int:
    """Classify every image; one that fails does not stop the rest."""
    if "-" in options.images and sys.stdin is None:
        print("error: stdin is closed: name an image file, or pipe one in", file=sys.stderr)
        return UNUSABLE
    classifier = Classifier(options.model, options.threads, engine=options.engine)
    top = min(options.top, len(classifier.spec.class_names))
    files = [file for name in options.images for file in _expand(name)]
    show = _json_line if options.json else _Csv(top).line if options.csv else _text_line
    workers = 1 if len(files) == 1 else options.workers
    answers = classifier.classify_many(map(_source, files), top=top, workers=workers, yield_errors=True)
    bar = _Bar(len(files))
    status = OK
    for file, answer in zip(files, answers, strict=True):
        if isinstance(answer, ImageError):
            status = FAILED
        print(show(file, answer), flush=True)
        bar.step()
    return status


def _expand(name: str) -> list[str]:
    """The files that an argument names; one that names none stays, so that its line can say so."""
    if os.path.isdir(name):
        return sorted(str(file) for file in Path(name).rglob("*") if file.suffix.lower() in SUFFIXES) or [name]
    if glob.has_magic(name) and not os.path.exists(name):
        return sorted(file for file in glob.iglob(name, recursive=True) if not Path(file).is_dir()) or [name]
    return [name]


def _source(file: str) -> str | bytes:
    return sys.stdin.buffer.read(MAX_STDIN_BYTES) if file == "-" else file


def _reason(file: str, error: ImageError) -> str:
    if isinstance(error, ImageFileNotFoundError) and os.path.isdir(file):
        return "no image files in this folder"
    return str(error).removeprefix(f"{file}: ")


def _text_line(file: str, answer: Prediction | ImageError) -> str:
    if isinstance(answer, ImageError):
        return f"{file}: {_reason(file, answer)}"
    doubt = "" if answer.is_confident else " (not confident)"
    return f"{file}: " + ", ".join(f"{label} {probability:.1%}" for label, probability in answer.top) + doubt


def _json_line(file: str, answer: Prediction | ImageError) -> str:
    if isinstance(answer, ImageError):
        return json.dumps({"file": file, "error": _reason(file, answer)})
    top = [{"label": label, "probability": probability} for label, probability in answer.top]
    return json.dumps({"file": file, **top[0], "confident": answer.is_confident, "top": top})


class _Csv:
    """Rows of one file each; the header goes before the first."""

    def __init__(self, top: int) -> None:
        ranks = [f"{name}_{rank}" for rank in range(1, top + 1) for name in ("label", "probability")]
        self._width, self._head = 3 + len(ranks), ["file", "error", "confident", *ranks]

    def line(self, file: str, answer: Prediction | ImageError) -> str:
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self._head:
            writer.writerow(self._head)
            self._head = []
        if isinstance(answer, ImageError):
            writer.writerow([file, _reason(file, answer), *[""] * (self._width - 2)])
        else:
            writer.writerow([file, "", answer.is_confident, *(value for pair in answer.top for value in pair)])
        return text.getvalue().removesuffix("\n")


class _Bar:
    """How far it is, on a terminal's stderr, once it takes long and the answers go elsewhere."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._shown = total, 0, False
        self._start = self._last = time.monotonic()
        self._wanted = sys.stderr is not None and sys.stderr.isatty() and not (sys.stdout and sys.stdout.isatty())

    def step(self) -> None:
        self._done += 1
        now = time.monotonic()
        if self._wanted and now - self._start > BAR_AFTER_S and now - self._last > BAR_EVERY_S:
            self._last, self._shown = now, True
            filled = "#" * (30 * self._done // self._total)
            rate = self._done / (now - self._start)
            print(f"\r[{filled:<30}] {self._done}/{self._total}, {rate:.0f}/s ", end="", file=sys.stderr, flush=True)
        if self._shown and self._done == self._total:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
