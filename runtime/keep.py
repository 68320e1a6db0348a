"""``--keep``: save frames that are worth labeling, and their predictions, in a folder of bounded size."""

import json
import os
import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from runtime.errors import OutputError
from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.spec import NONE_CLASS
from runtime.system.files import read_regular
from runtime.system.writing import atomic_path, check_writable, clear_leftovers
from runtime.text import say

UNSURE, UNKNOWN, CHANGED, RANDOM = "unsure", "unknown", "changed", "random"
RANDOM_SHARE = 0.001
"""Share of all frames that is kept at random; unlike unsure frames, they are a fair sample to measure accuracy on."""
MARGIN = 0.2
"""A prediction is unsure if the two largest probabilities differ by less than this."""
EVERY_S = 1.0
"""Shortest time between two writes; fewer writes wear a memory card less."""
PAUSE_S = 60.0
"""Time without writes after a write that failed."""
CLOSE_S = 5.0
MAX_FRAME_BYTES = 32 << 20

_OURS = re.compile(r"(\d{8,})-\d{8}T\d{6}Z-[a-z]+\.([a-z0-9]{1,5})")


class _Kept(NamedTuple):
    """A frame in the folder: its number, the names of its files, and their total size in bytes."""

    number: int
    names: tuple[str, ...]
    size: int


class _Job(NamedTuple):
    """A frame to write."""

    frame: ClassifiedFrame
    reason: str


class FrameKeeper:
    """A listener that writes selected frames from a thread of its own.

    A frame is stored as ``00000012-20261127T140211Z-unsure.jpg``, with its prediction in the ``.json`` of the same
    name. Numbers always grow, even if the clock is set back. The frames with the lowest numbers are deleted to make
    room; files with other names are left alone.

    Args:
        folder: created if missing, with access for this user only.
        max_bytes: limit for all frames and predictions together.
        model: name and SHA-256 of the model file, written with each prediction.
        say: called when writing fails, and when it works again.
        clock: monotonic clock, in seconds.
        draw: returns a random number in [0, 1).

    Raises:
        OutputError: the folder cannot be created or written to.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the last three are for tests
        self,
        folder: Path,
        max_bytes: int,
        model: dict[str, str],
        say: Callable[[str], None] = say,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._folder, self._max_bytes, self._model = folder, max_bytes, model
        self._say, self._clock, self._draw = say, clock, draw
        self._last_shown: tuple[str, ...] | None = None
        self._by_chance: ClassifiedFrame | None = None
        self._next_s = float("-inf")
        self._failure = ""
        self._kept: deque[_Kept] | None = None
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror}); name a folder for --keep") from error
        check_writable(folder / "00000000.jpg")
        self._jobs: deque[_Job] = deque(maxlen=1)
        self._changed = threading.Condition()
        self._is_closing = self._is_busy = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Queue the frame if there is a reason to keep it and the last write is at least ``EVERY_S`` ago."""
        if frame.is_repeated:
            return
        reason = self._reason(frame)
        if self._draw() < RANDOM_SHARE:
            self._by_chance = frame  # written before the next unsure frame, or it might never get a turn
        with self._changed:
            if self._is_busy or self._jobs or self._clock() < self._next_s:
                return
            if self._by_chance:
                self._jobs.append(_Job(self._by_chance, RANDOM))
                self._by_chance = None
            elif reason:
                self._jobs.append(_Job(frame, reason))
            else:
                return
            self._next_s = self._clock() + EVERY_S
            self._changed.notify()

    def on_event(self, event: Event) -> None:
        """Do nothing: events do not decide which frames are kept."""

    def close(self) -> None:
        """Finish the pending write; wait at most ``CLOSE_S``."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _reason(self, frame: ClassifiedFrame) -> str:
        answer, before = frame.prediction, self._last_shown
        self._last_shown = (answer.label,) if answer.labels is None else answer.labels
        if answer.is_known is False and answer.label != NONE_CLASS:
            return UNKNOWN
        rivals = answer.labels is None and len(answer.top) > 1  # several labels do not exclude each other
        if not answer.is_confident or (rivals and answer.top[0][1] - answer.top[1][1] < MARGIN):
            return UNSURE
        return CHANGED if before not in {None, self._last_shown} else ""

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._is_closing)
                if not self._jobs:
                    return
                job, self._is_busy = self._jobs.popleft(), True
            try:
                if self._write(job) and self._failure:
                    self._say("keep: frames are written again")
                    self._failure = ""
            except OSError as error:
                self._fail(error)
            finally:
                with self._changed:
                    self._is_busy = False

    def _fail(self, error: OSError) -> None:
        failure = error.strerror or str(error)
        if failure != self._failure:
            self._say(f"keep: {self._folder}: {failure}; no frame is written until that has changed")
        self._failure, self._kept = failure, None  # another disk may be there next time
        with self._changed:
            self._next_s = self._clock() + PAUSE_S

    def _write(self, job: _Job) -> bool:
        """Write a frame and its prediction; return ``False`` if the frame is too large or cannot be read.

        Raises:
            OSError: the folder cannot be written to.
        """
        try:
            content, suffix = _content(job.frame)
        except OSError as error:
            self._say(f"keep: {job.frame.name} is not kept: {error.strerror or error}")
            return False
        answer = json.dumps(self._entries(job), indent=2).encode() + b"\n"
        size = len(content) + len(answer)
        if size > self._max_bytes:
            return False
        kept = self._kept = _listed(self._folder) if self._kept is None else self._kept
        number = kept[-1].number + 1 if kept else 1  # taken before deleting, so that numbers grow
        total = sum(frame.size for frame in kept)
        while kept and total + size > self._max_bytes:
            total -= kept[0].size
            _delete(self._folder, kept[0])
            kept.popleft()
        stem = f"{number:08}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{job.reason}"
        # The prediction first: each stored picture then has one.
        for name, part in ((f"{stem}.json", answer), (f"{stem}.{suffix}", content)):
            with atomic_path(self._folder / name) as path:
                path.write_bytes(part)
        kept.append(_Kept(number, (f"{stem}.json", f"{stem}.{suffix}"), size))
        return True

    def _entries(self, job: _Job) -> dict[str, Any]:
        answer = job.frame.prediction
        return {
            "reason": job.reason,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "frame": job.frame.name,
            "label": answer.label,
            "probability": answer.probability,
            "confident": answer.is_confident,
            "known": answer.is_known,
            **({} if answer.labels is None else {"labels": answer.labels}),
            "top": [{"label": label, "probability": share} for label, share in answer.top],
            **self._model,
        }


def model_entries(path: Path) -> dict[str, str]:
    """Return name and SHA-256 of a model file, as entries."""
    import hashlib

    with path.open("rb") as file:
        return {"model": path.name, "model_sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _content(frame: ClassifiedFrame) -> tuple[bytes, str]:
    """Return a frame's bytes and its file suffix."""
    if isinstance(frame.image, bytes):
        return frame.image, "jpg"
    if not isinstance(frame.image, str | os.PathLike):
        raise OSError(f"a frame that is a {type(frame.image).__name__} cannot be written")
    path = os.fspath(frame.image)
    suffix = os.path.splitext(path)[1][1:].lower()
    return read_regular(path, MAX_FRAME_BYTES), suffix if re.fullmatch("[a-z0-9]{1,5}", suffix) else "img"


def _listed(folder: Path) -> deque[_Kept]:
    """List the frames in the folder, by number; first delete temporary files that killed processes left."""
    clear_leftovers(folder)
    found: dict[int, list[tuple[str, int]]] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _OURS.fullmatch(entry.name)
            if match and entry.is_file(follow_symlinks=False):
                found.setdefault(int(match[1]), []).append((entry.name, entry.stat(follow_symlinks=False).st_size))
    return deque(
        _Kept(number, tuple(name for name, _ in found[number]), sum(size for _, size in found[number]))
        for number in sorted(found)
    )


def _delete(folder: Path, frame: _Kept) -> None:
    """Delete a frame's files, the picture first: each remaining picture then has its prediction."""
    for name in sorted(frame.names, key=lambda name: name.endswith(".json")):
        (folder / name).unlink(missing_ok=True)
