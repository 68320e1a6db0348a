"""``classify``: classify image files, folders, globs or standard input; print one line per image."""

import argparse
import glob
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime.classifier import Classifier
from runtime.commands import FAILED, OK, UNUSABLE, add_model, positive, threads
from runtime.errors import HeicError, ImageError, ImageFileNotFoundError
from runtime.image.isolated import IsolatedDecoder
from runtime.prediction import Prediction, optional_entries
from runtime.spec import NONE_CLASS
from runtime.text import for_csv, for_terminal

if TYPE_CHECKING:
    from runtime.photo_files import SkippedEntry

EPILOG = """\
In a folder, photos are the files with an image extension such as .jpg, and files without an extension whose first bytes
are those of an image. Skipped files (hidden files, other files, HEIC without pillow-heif) are counted on stderr at the
end.

exit status:
  0 all classified, 1 some photo could not be read (its line, or the last one, says why), 2 the model or the arguments
  are unusable

examples:
  PROGRAM classify model_int8.onnx photo.jpg --top 3
  PROGRAM classify model_int8.onnx photos/ --csv > answers.csv
  curl -s http://camera.local/still.jpg | PROGRAM classify model_int8.onnx -"""

MAX_STDIN_BYTES = (1 << 28) + 1  # one more than the decoder accepts
BAR_AFTER_S, BAR_EVERY_S = 1.0, 0.2


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    add_model(parser)
    parser.add_argument(
        "images", metavar="IMAGE", nargs="+", help="image files, folders (with all subfolders), globs; - reads stdin"
    )
    parser.set_defaults(order="classify MODEL IMAGE")
    parser.add_argument("--top", type=positive, default=5, help="how many classes to list (default: 5)")
    parser.add_argument("--workers", type=threads, help="threads that decode (default: one per processor)")
    layout = parser.add_mutually_exclusive_group()
    layout.add_argument("--json", action="store_true", help="one JSON object per image")
    layout.add_argument("--csv", action="store_true", help="CSV: a header, and one row per image")


class _Item(NamedTuple):
    """An image to classify.

    Attributes:
        file: path, or ``-`` for stdin.
        error: why it cannot be read, if that is already known.
        of_folder: found in a folder, not named as an argument.
    """

    file: str
    error: str = ""
    of_folder: bool = False


def run(options: argparse.Namespace) -> int:
    """Classify every image; one that fails does not stop the rest."""
    if "-" in options.images and sys.stdin is None:
        print("error: stdin is closed: name an image file, or pipe one in", file=sys.stderr)
        return UNUSABLE
    classifier = Classifier(options.model, options.threads, engine=options.engine, decoder=IsolatedDecoder())
    top = min(options.top, len(classifier.spec.class_names))
    skipped: list[SkippedEntry] = []
    items = [item for name in options.images for item in _expand(name, skipped)]
    show = _json_line if options.json else _Csv(top, several=classifier.multi_label).line if options.csv else _text_line
    sources = [item.file for item in items if not item.error]
    workers = 1 if len(sources) == 1 else options.workers
    answers = classifier.classify_many(map(_source, sources), top=top, workers=workers, yield_errors=True)
    bar = _Bar(len(items))
    status = OK
    for item in items:
        answer = ImageFileNotFoundError(item.error) if item.error else next(answers)
        if isinstance(answer, ImageError):
            status = FAILED
        if isinstance(answer, HeicError) and item.of_folder:
            skipped.append(_heic(item.file))
        else:
            print(show(item.file, answer), flush=True)
        bar.step()
    if skipped:
        from runtime.photo_files import tally

        print(tally(skipped), file=sys.stderr)
    return status


def _expand(name: str, skipped: "list[SkippedEntry]") -> list[_Item]:
    """Expand an argument (file, folder, glob) to images; add a folder's skipped entries to ``skipped``.

    A name that matches no file is kept, so that its line reports the error.
    """
    if os.path.isdir(name):
        from runtime.photo_files import UNREADABLE, list_photos

        listing = list_photos(name)
        skipped += listing.skipped
        items = [_Item(photo.path, of_folder=True) for photo in listing.photos]
        items += [_Item(left.path, left.reason) for left in listing.skipped if left.kind == UNREADABLE]
        return sorted(items) or [_Item(name, "no image files in this folder")]
    if glob.has_magic(name) and not os.path.exists(name):
        files = sorted(file for file in glob.iglob(name, recursive=True) if not Path(file).is_dir())
        return [_Item(file) for file in files or [name]]
    return [_Item(name)]


def _heic(file: str) -> "SkippedEntry":
    from runtime.image.heif import REMEDY
    from runtime.photo_files import HEIC, SkippedEntry

    return SkippedEntry(file, HEIC, REMEDY)


def _source(file: str) -> str | bytes:
    return sys.stdin.buffer.read(MAX_STDIN_BYTES) or b"" if file == "-" else file


def _reason(file: str, error: ImageError) -> str:
    return str(error).removeprefix(f"{file}: ")


def _text_line(file: str, answer: Prediction | ImageError) -> str:
    if isinstance(answer, ImageError):
        return for_terminal(f"{file}: {_reason(file, answer)}")
    if answer.labels is not None:
        shown = [pair for pair in answer.top if pair[0] in answer.labels]
        nothing = f"no label (most probable: {answer.label} {answer.probability:.1%})"
    else:
        shown, nothing = list(answer.top), ""
    caveat = "" if answer.is_confident else " (not confident)"
    if answer.is_known is False and answer.label != NONE_CLASS:
        caveat = " (unlike all classes)"
    named = ", ".join(f"{label} {share:.1%}" for label, share in shown) or nothing
    return for_terminal(f"{file}: {named}{caveat}")


def _json_line(file: str, answer: Prediction | ImageError) -> str:
    if isinstance(answer, ImageError):
        return json.dumps({"file": file, "error": _reason(file, answer)})
    top = [{"label": label, "probability": probability} for label, probability in answer.top]
    more = optional_entries(answer)
    return json.dumps({"file": file, **top[0], "confident": answer.is_confident, **more, "top": top})


class _Csv:
    """CSV rows, one per image; the first is preceded by the header. ``several`` adds a column with all labels."""

    def __init__(self, top: int, *, several: bool = False) -> None:
        ranks = [f"{name}_{rank}" for rank in range(1, top + 1) for name in ("label", "probability")]
        self._head = ["file", "error", "confident", *(["labels"] if several else []), *ranks]
        self._width, self._top = len(self._head), top

    def line(self, file: str, answer: Prediction | ImageError) -> str:
        import csv
        import io

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self._head:
            writer.writerow(self._head)
            self._head = []
        if isinstance(answer, ImageError):
            writer.writerow([for_csv(file), for_csv(_reason(file, answer)), *[""] * (self._width - 2)])
        else:
            pairs = [(for_csv(label), probability) for label, probability in answer.top[: self._top]]
            labels = [] if answer.labels is None else [for_csv(";".join(answer.labels))]
            writer.writerow(
                [
                    for_csv(file),
                    "",
                    answer.is_confident and answer.is_known is not False,
                    *labels,
                    *(value for pair in pairs for value in pair),
                ]
            )
        return text.getvalue().removesuffix("\n")


class _Bar:
    """Progress bar on stderr, shown if stderr is a terminal, stdout is not, and the command takes long."""

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
