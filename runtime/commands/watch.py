"""``watch``: classify images that arrive in a folder; print events, or one JSON line per image."""

import argparse
import json
import os
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from runtime.commands import OK, UNUSABLE, add_model, event_options
from runtime.errors import DecodingStoppedError, ImageError
from runtime.events.detector import EventSettings
from runtime.events.session import Listener, Session
from runtime.photo_files import SkippedEntry, list_photos, tally
from runtime.prediction import optional_entries
from runtime.publish.lines import EventLines
from runtime.system.signals import Stop
from runtime.text import for_terminal

EPILOG = """\
A line is printed when an event begins or ends. By default, one photo of another class ends an event and begins the
next; --votes can require more. --frames prints a JSON line per image instead, and --out appends these lines to a file;
images that are already in that file are not classified again after a restart.

Images that are already in the folder are classified, too. A file that cannot be read is tried again while it is being
written; its error is reported once it has not changed for 5 s. A file that is written again gets a new line. The same
files count as photos as for classify; hidden files, other files and subfolders are skipped, and counted on stderr at
the end.

exit status:
  0 ended by SIGTERM or SIGINT, after the current image or within two seconds; 2 the model or the arguments are unusable

examples:
  PROGRAM watch model_int8.onnx photos/
  PROGRAM watch model_int8.onnx photos/ --frames
  PROGRAM watch model_int8.onnx photos/ --out answers.jsonl"""

DEFAULTS = EventSettings(votes=1, window=1, min_seconds=0.0, lost_after_s=None)
"""Default event settings of ``watch``: photos are taken on purpose, so one photo is enough to begin an event."""
EVERY_S = 1.0
SETTLED_S = 5.0
"""Seconds without a change after which an unreadable file is reported as damaged."""


class Stamp(NamedTuple):
    """Modification time (ns) and size (bytes), which distinguish a file from an earlier one of the same name."""

    mtime_ns: int
    size: int


class Waiting(NamedTuple):
    """A file that could not be read: its stamp, and since when it has not changed (``time.monotonic``)."""

    stamp: Stamp
    since_s: float


class Lines:
    """A writer of JSON lines to a file (opened for each line, so that it may be moved away) and to stdout.

    If neither is wanted, errors are printed on stderr.
    """

    def __init__(self, path: Path | None, *, shown: bool) -> None:
        self._path, self._shown = path, shown

    def listed(self, folder: Path) -> dict[str, Stamp]:
        """Read the existing lines: the last stamp of each image that is still in ``folder``."""
        if self._path is None:
            return {}
        with self._path.open("ab+") as file:
            here, listed, last = {name for name, _ in images(folder)[0]}, {}, b"\n"
            file.seek(0)
            for last in file:
                try:
                    line = json.loads(last)
                    name, stamp = line["file"], Stamp(line["mtime_ns"], line["bytes"])
                except (ValueError, TypeError, LookupError):
                    continue
                if name in here:
                    listed[name] = stamp
            if not last.endswith(b"\n"):  # a process was killed, or the disk was full
                file.write(b"\n")
        return listed

    def add(self, name: str, stamp: Stamp, answer: dict[str, Any]) -> None:
        """Write one line immediately."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"time": now, "file": name, "bytes": stamp.size, "mtime_ns": stamp.mtime_ns, **answer})
        if self._shown:
            print(text, flush=True)
        elif "error" in answer and self._path is None:
            print(for_terminal(f"{name}: {answer['error']}"), file=sys.stderr)
        if self._path:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text + "\n")


def add(parser: argparse.ArgumentParser) -> None:
    """Register the command's arguments."""
    add_model(parser)
    parser.add_argument("dir", metavar="DIR", type=Path, help="the folder in which images arrive")
    parser.set_defaults(order="watch MODEL DIR")
    parser.add_argument("--out", metavar="FILE", type=Path, help="append a JSON line per image to this file")
    parser.add_argument("--frames", action="store_true", help="print a JSON line per image instead of events")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")
    event_options.add(parser, DEFAULTS)


def run(options: argparse.Namespace) -> int:
    """Classify images until a signal arrives."""
    if not options.dir.is_dir():
        from runtime.commands.misplaced import explain_misplaced

        said = f"{options.dir}: expected a folder in which images arrive"
        print(f"error: {for_terminal(explain_misplaced(options, said) or said)}", file=sys.stderr)
        return UNUSABLE
    stop, lines = Stop(), Lines(options.out, shown=options.frames)
    classifier, decoder = event_options.classifier_of(options, stop.fileno())
    listeners: list[Listener] = [] if options.frames else [EventLines(as_json=options.json)]
    session = event_options.session(options, classifier, listeners, DEFAULTS.lost_after_s)
    try:
        with closing(session):
            return _watch(session, options.dir, lines, stop)
    finally:
        decoder.close()


def _watch(session: Session, folder: Path, lines: Lines, stop: Stop) -> int:
    done, waiting = lines.listed(folder), dict[str, Waiting]()
    while True:
        found, skipped = images(folder)
        for name, stamp in sorted(found, key=lambda image: (image[1], image[0])):
            if done.get(name) != stamp:
                answer = _look(session, folder / name, stamp, waiting)
                if answer is not None:
                    lines.add(name, stamp, answer)
                    done[name] = stamp
                if stop.within(0):
                    return _ended(skipped, folder)
        here = {name for name, _ in found}
        done = {name: stamp for name, stamp in done.items() if name in here}
        waiting = {name: wait for name, wait in waiting.items() if name in here and done.get(name) != wait.stamp}
        if stop.within(EVERY_S):
            return _ended(skipped, folder)


def images(folder: Path) -> tuple[list[tuple[str, Stamp]], list[SkippedEntry]]:
    """Return the photos that are in the folder now, by name and stamp, and the skipped entries.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder):  # raises if the folder is gone
        listing = list_photos(folder, deep=False)
    found = [(os.path.basename(photo.path), Stamp(photo.modified_ns, photo.size)) for photo in listing.photos]
    return found, listing.skipped


def _ended(skipped: list[SkippedEntry], folder: Path) -> int:
    if skipped:
        print(tally(skipped, folder), file=sys.stderr)
    return OK


def _look(session: Session, path: Path, stamp: Stamp, waiting: dict[str, Waiting]) -> dict[str, Any] | None:
    """Return the JSON entries for a file; ``None`` if it may still be written, or is gone."""
    now, wait = time.monotonic(), waiting.get(path.name)
    if wait and wait.stamp != stamp:
        waiting[path.name] = Waiting(stamp, now)
        return None
    try:
        found = session.show(path, path.name).prediction
        answer = {"label": found.label, "probability": found.probability, "confident": found.is_confident}
        answer |= optional_entries(found)
        settled = True
    except DecodingStoppedError:
        return None
    except ImageError as error:
        answer = {"error": str(error).removeprefix(f"{path}: ")}
        settled = time.monotonic() - (wait.since_s if wait else now) >= SETTLED_S
    if settled and _stamp(path) == stamp:
        return answer
    waiting.setdefault(path.name, Waiting(stamp, now))
    return None


def _stamp(file: Path) -> Stamp | None:
    """Return the stamp of a regular file; ``None`` if it is gone or not regular."""
    try:
        status = file.stat()
        return Stamp(status.st_mtime_ns, status.st_size) if file.is_file() else None
    except OSError:
        return None
