"""The queue of frames to label, the most useful first, which moves labeled frames into class folders."""

import shutil
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.data import class_names
from pipeline.data.scan import check_is_folder, training_folder
from pipeline.errors import DataError
from runtime.keep import CHANGED, RANDOM, UNKNOWN, UNSURE
from runtime.photo_files import is_hidden, list_photos
from runtime.system.files import parse_json, read_regular
from runtime.system.writing import atomic_path
from runtime.text import first_of, for_terminal, plural

DISCARDED, NONE = "discarded", "none"
RANKS = {UNKNOWN: 0, UNSURE: 1, CHANGED: 2, RANDOM: 3}
MAX_ANSWER_BYTES = 1 << 20
MAX_NAME = 100
NEAR = 3
"""Frames with the same label whose numbers differ by at most this look alike; only the first of them comes early."""


@dataclass(frozen=True)
class Frame:
    """A frame that waits for its label.

    Attributes:
        path: the picture file.
        reason: why the device has kept it; empty if unknown.
        top: the device's answer as pairs (label, probability), best first.
    """

    path: Path
    reason: str = ""
    top: tuple[tuple[str, float], ...] = ()

    @property
    def answer_path(self) -> Path:
        """Path of the JSON file with the device's answer."""
        return self.path.with_suffix(".json")

    @property
    def margin(self) -> float:
        """Difference of the two highest probabilities, 0-1; 1 without an answer."""
        shares = [share for _, share in self.top]
        return 1.0 if not shares else shares[0] - (shares[1] if len(shares) > 1 else 0.0)


@dataclass(frozen=True)
class _Step:
    """A frame that was moved, for undo; ``answer`` is the content of its answer file."""

    frame: Frame
    moved_to: Path
    answer: bytes | None


class Queue:
    """The frames to label, one after the other; each is moved into the folder of its label. Not thread-safe.

    Args:
        source: the folder that the device has filled.
        photos: the folder of the class folders, which are made as needed; if it is divided, its ``train/`` is used.

    Raises:
        DataError: ``source`` is no folder, or has no photos.
    """

    def __init__(self, source: Path, photos: Path) -> None:
        check_is_folder(source, "one that the runtime's --keep has filled")
        listing = list_photos(source, deep=False)
        self._source = source
        self._classes_dir = training_folder(photos)
        self._waiting = ordered(_read(Path(photo.path)) for photo in listing.photos)
        if not self._waiting:
            raise DataError(f"{source}: no photos; expected a folder that the runtime's --keep has filled")
        self._steps: list[_Step] = []

    @property
    def current(self) -> Frame | None:
        """The frame to label next; ``None`` if all are done."""
        return self._waiting[0] if self._waiting else None

    def state(self) -> dict[str, Any]:
        """Return what the page shows, as JSON values."""
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
        """Return the names of the existing class folders and of the classes in the device's answers, sorted."""
        folders = [path.name for path in _folders(self._classes_dir)]
        answered = {label for frame in self._waiting for label, _ in frame.top} - {*folders}
        return sorted({*folders, *answered})

    def label(self, name: str, label: str) -> None:
        """Move the current frame into a class folder, which is made if it is missing.

        Args:
            name: file name of the frame.
            label: name of the class.

        Raises:
            DataError: ``name`` is not the current frame, or ``label`` cannot name a class.
            OSError: the frame cannot be moved; nothing has changed then.
        """
        self._move(name, self._classes_dir / self._folder_name(label))

    def discard(self, name: str) -> None:
        """Move the current frame, whose file name is ``name``, into ``discarded/``.

        Raises:
            DataError: ``name`` is not the current frame.
            OSError: the frame cannot be moved; nothing has changed then.
        """
        self._move(name, self._source / DISCARDED)

    def undo(self) -> None:
        """Put the frame that was moved last back into the queue; do nothing if there is none.

        Raises:
            OSError: the frame cannot be moved back.
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
            raise DataError(f"{for_terminal(name[:80])!r} is not the current frame: load the page again")
        if not frame.path.is_file():  # the device may have deleted it to make room
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
    """Sort frames, the most useful to label first: unknown, then unsure ones; of frames that look alike, only one."""
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
    """Make a frame with the answer from the JSON file beside it, if that can be read."""
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
    """Return ``path``, or if it exists, the first free one of ``STEM-2``, ``STEM-3`` and so on."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _move_file(source: Path, target: Path) -> None:
    """Copy a file completely before its source is deleted, because the folders may be on different disks."""
    with atomic_path(target) as path:
        shutil.copyfile(source, path)
    try:
        source.unlink()
    except OSError:
        target.unlink(missing_ok=True)
        raise


def describe(queue: Queue) -> str:
    """Describe the queue for the terminal: number of frames, and classes."""
    state = queue.state()
    return f"{plural(state['left'], 'frame')}; classes: {first_of(state['classes']) or 'none yet'}"
