"""The queue of frames, the most useful to label first, and the folders where they go."""

import shutil
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data import class_names
from pipeline.data.scan import training_folder
from pipeline.errors import DataError
from runtime.keep import CHANGED, RANDOM, UNKNOWN, UNSURE
from runtime.photo_files import is_hidden, list_photos
from runtime.system.files import parse_json, read_regular
from runtime.system.writing import atomic_path
from runtime.text import for_terminal

DISCARDED, NONE = "discarded", "none"
RANKS = {UNKNOWN: 0, UNSURE: 1, CHANGED: 2, RANDOM: 3}
MAX_ANSWER_BYTES = 1 << 20
MAX_NAME = 100
NEAR = 3
"""Frames whose numbers differ by so little show much the same, and only one of them comes early."""


@dataclass(frozen=True)
class Frame:
    """A frame that waits for its label.

    Attributes:
        path: the picture.
        reason: why the device has kept it; empty where nothing says so.
        top: the device's answer, (label, probability), best first.
    """

    path: Path
    reason: str = ""
    top: tuple[tuple[str, float], ...] = ()

    @property
    def answer_path(self) -> Path:
        """The device's answer."""
        return self.path.with_suffix(".json")

    @property
    def margin(self) -> float:
        """By how much the best class is more probable than the next one."""
        shares = [share for _, share in self.top]
        return 1.0 if not shares else shares[0] - (shares[1] if len(shares) > 1 else 0.0)


@dataclass(frozen=True)
class _Step:
    """What has been done, so that it can be undone."""

    frame: Frame
    moved_to: Path
    answer: bytes | None


class Queue:
    """Gives frames one after the other and moves each to where its label says. Not for several threads at once.

    Args:
        source: the folder that the device has filled.
        photos: where the class folders are or will be; of one that is divided, those of ``train/``.

    Raises:
        DataError: no such folder, or no photos in it.
    """

    def __init__(self, source: Path, photos: Path) -> None:
        if not source.is_dir():
            raise DataError(f"{source}: no such folder; expected one that --keep of the runtime has filled")
        listing = list_photos(source, deep=False)
        self._source = source
        self._classes_dir = training_folder(photos)
        self._waiting = ordered(_read(Path(photo.path)) for photo in listing.photos)
        if not self._waiting:
            raise DataError(f"{source}: no photos; expected a folder that --keep of the runtime has filled")
        self._steps: list[_Step] = []

    @property
    def current(self) -> Frame | None:
        """The frame whose label is worth most now."""
        return self._waiting[0] if self._waiting else None

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        frame = self.current
        return {
            "name": frame.path.name if frame else None,
            "reason": frame.reason if frame else "",
            "top": [{"label": label, "probability": share} for label, share in frame.top] if frame else [],
            "classes": self.classes(),
            "left": len(self._waiting),
            "done": len(self._steps),
        }

    def classes(self) -> list[str]:
        """The class folders that are there, and the classes that the device knows."""
        folders = [path.name for path in _folders(self._classes_dir)]
        answered = {label for frame in self._waiting for label, _ in frame.top} - {*folders}
        return sorted({*folders, *answered})

    def label(self, name: str, label: str) -> None:
        """Move the frame of this file name into a class folder, which is made if it is missing.

        Raises:
            DataError: it is not the current frame, or the label cannot name a class.
            OSError: it cannot be moved; nothing has changed then.
        """
        self._move(name, self._classes_dir / self._folder_name(label))

    def discard(self, name: str) -> None:
        """Move the frame of this file name out of the way, into ``discarded/``.

        Raises:
            DataError: it is not the current frame.
            OSError: it cannot be moved; nothing has changed then.
        """
        self._move(name, self._source / DISCARDED)

    def undo(self) -> None:
        """Put the last frame back; nothing happens where there is none.

        Raises:
            OSError: it cannot be moved back.
        """
        if not self._steps:
            return
        step = self._steps[-1]
        if step.answer is not None:
            with atomic_path(step.frame.answer_path) as path:
                path.write_bytes(step.answer)
        _move_file(step.moved_to, step.frame.path)
        self._steps.pop()
        self._waiting.insert(0, step.frame)

    def _move(self, name: str, folder: Path) -> None:
        frame = self.current
        if frame is None or frame.path.name != name:
            raise DataError(f"{for_terminal(name[:80])!r} is not the frame at hand: load the page again")
        if not frame.path.is_file():  # the device deletes its oldest
            self._waiting.pop(0)
            raise DataError(f"{for_terminal(name[:80])!r} is no longer there: load the page again for the next frame")
        folder.mkdir(parents=True, exist_ok=True)
        target = _free(folder / frame.path.name)
        answer = _answer_bytes(frame.answer_path)
        _move_file(frame.path, target)
        frame.answer_path.unlink(missing_ok=True)
        self._waiting.pop(0)
        self._steps.append(_Step(frame, target, answer))

    def _folder_name(self, label: str) -> str:
        name = unicodedata.normalize("NFC", label)
        fault = class_names.fault([name])
        if fault is None and (len(name) > MAX_NAME or is_hidden(name) or any(mark in name for mark in '/\\:*?"<>|')):
            fault = f"{name[:80]!r} cannot name a folder; use letters, digits, blanks, - and _"
        if fault:
            raise DataError(f"the class {fault}")
        alike = {path.name.casefold(): path.name for path in _folders(self._classes_dir)}
        return alike.get(name.casefold(), name)


def ordered(frames: Iterable[Frame]) -> list[Frame]:
    """Those whose labels are worth most first: unknown and unsure ones; of frames that follow one another, one."""
    firsts: dict[Frame, bool] = {}
    before: tuple[int, str] | None = None
    for frame in sorted(frames, key=lambda frame: frame.path.name):
        number = int(digits) if (digits := frame.path.name.partition("-")[0]).isdecimal() else -NEAR
        label = frame.top[0][0] if frame.top else ""
        firsts[frame] = before is None or label != before[1] or number - before[0] > NEAR or number < 0
        before = (number, label)
    return sorted(
        firsts,
        key=lambda frame: (not firsts[frame], RANKS.get(frame.reason, len(RANKS)), frame.margin, frame.path.name),
    )


def _read(path: Path) -> Frame:
    """A frame with the answer beside it, if that can be read."""
    try:
        answer = parse_json(read_regular(path.with_suffix(".json"), MAX_ANSWER_BYTES))
        top = tuple((str(entry["label"]), float(entry["probability"])) for entry in answer["top"])
        return Frame(path, str(answer["reason"]), top)
    except (OSError, ValueError, TypeError, KeyError):
        return Frame(path)


def _answer_bytes(path: Path) -> bytes | None:
    try:
        return read_regular(path, MAX_ANSWER_BYTES)
    except OSError:
        return None


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name)]
    except OSError:
        return []


def _free(path: Path) -> Path:
    """``path``, or one beside it that is not taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _move_file(source: Path, target: Path) -> None:
    """Copied whole before it is deleted, for the folders may be on different disks."""
    with atomic_path(target) as path:
        shutil.copyfile(source, path)
    try:
        source.unlink()
    except OSError:
        target.unlink(missing_ok=True)
        raise


def describe(queue: Queue) -> str:
    """What is to be done, for the terminal."""
    state = queue.state()
    return f"{state['left']:,} frames; classes: {', '.join(map(for_terminal, state['classes'])) or 'none yet'}"
