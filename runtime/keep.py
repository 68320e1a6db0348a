"""``--keep``: frames that are worth labeling, in a folder of bounded size, each with its answer beside it."""

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
from runtime.events.session import Seen
from runtime.spec import NONE_CLASS
from runtime.system.files import read_regular
from runtime.system.writing import atomic_path, check_writable, clear_leftovers
from runtime.text import say

UNSURE, UNKNOWN, CHANGED, RANDOM = "unsure", "unknown", "changed", "random"
RANDOM_SHARE = 0.001
"""The share of all frames that is kept by chance; they show how good answers are in general, unlike doubtful frames."""
MARGIN = 0.2
"""An answer is unsure if its probability exceeds the next one's by less than this."""
EVERY_S = 1.0
"""Between two writes: memory cards wear."""
PAUSE_S = 60.0
"""After a write that has failed."""
CLOSE_S = 5.0
MAX_FRAME_BYTES = 32 << 20

_OURS = re.compile(r"(\d{8,})-\d{8}T\d{6}Z-[a-z]+\.([a-z0-9]{1,5})")


class _Kept(NamedTuple):
    """A frame in the folder: its number, the names of its files, their bytes together."""

    number: int
    names: tuple[str, ...]
    size: int


class _Job(NamedTuple):
    """A frame that is to be written."""

    seen: Seen
    reason: str


class FrameKeeper:
    """A listener that writes some of the frames, from a thread of its own.

    ``00000012-20261127T140211Z-unsure.jpg`` and ``….json`` beside it. The numbers grow whatever the clock says, and the
    lowest are deleted for new ones; files with other names are left alone.

    Args:
        folder: made if it is missing, for this user alone.
        max_bytes: of all frames and answers together.
        model: name and SHA-256 of the model file, to be written with each answer.
        say: is called when writing fails, and when it works again.
        clock: gives seconds that never go back.
        draw: gives numbers from 0 up to 1 by chance.

    Raises:
        OutputError: the folder cannot be made or written to.
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
        self._by_chance: Seen | None = None
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

    def seen(self, seen: Seen) -> None:
        """Have it written, if it is worth it and the last write is a second ago."""
        if seen.is_repeated:
            return
        reason = self._reason(seen)
        if self._draw() < RANDOM_SHARE:
            self._by_chance = seen  # waits for its turn, or the doubtful ones would crowd it out
        with self._changed:
            if self._is_busy or self._jobs or self._clock() < self._next_s:
                return
            if self._by_chance:
                self._jobs.append(_Job(self._by_chance, RANDOM))
                self._by_chance = None
            elif reason:
                self._jobs.append(_Job(seen, reason))
            else:
                return
            self._next_s = self._clock() + EVERY_S
            self._changed.notify()

    def happened(self, event: Event) -> None:
        """Events choose nothing."""

    def close(self) -> None:
        """Finish the write at hand."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _reason(self, seen: Seen) -> str:
        answer, before = seen.prediction, self._last_shown
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
        """Whether it was written: not if it is too large or cannot be read, which is no fault of the folder."""
        try:
            content, suffix = _content(job.seen)
        except OSError as error:
            self._say(f"keep: {job.seen.name} is not kept: {error.strerror or error}")
            return False
        answer = json.dumps(self._entries(job), indent=2).encode() + b"\n"
        size = len(content) + len(answer)
        if size > self._max_bytes:
            return False
        kept = self._kept = _listed(self._folder) if self._kept is None else self._kept
        number = kept[-1].number + 1 if kept else 1  # before any is deleted, or the numbers would not grow
        total = sum(frame.size for frame in kept)
        while kept and total + size > self._max_bytes:
            total -= kept[0].size
            _delete(self._folder, kept[0])
            kept.popleft()
        stem = f"{number:08}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{job.reason}"
        # The answer first: a picture that is there has one.
        for name, part in ((f"{stem}.json", answer), (f"{stem}.{suffix}", content)):
            with atomic_path(self._folder / name) as path:
                path.write_bytes(part)
        kept.append(_Kept(number, (f"{stem}.json", f"{stem}.{suffix}"), size))
        return True

    def _entries(self, job: _Job) -> dict[str, Any]:
        answer = job.seen.prediction
        return {
            "reason": job.reason,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "frame": job.seen.name,
            "label": answer.label,
            "probability": answer.probability,
            "confident": answer.is_confident,
            "known": answer.is_known,
            **({} if answer.labels is None else {"labels": answer.labels}),
            "top": [{"label": label, "probability": share} for label, share in answer.top],
            **self._model,
        }


def model_entries(path: Path) -> dict[str, str]:
    """Name and SHA-256 of a model file."""
    import hashlib

    with path.open("rb") as file:
        return {"model": path.name, "model_sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _content(seen: Seen) -> tuple[bytes, str]:
    """A frame's bytes and its suffix."""
    if isinstance(seen.image, bytes):
        return seen.image, "jpg"
    if not isinstance(seen.image, str | os.PathLike):
        raise OSError(f"a frame that is a {type(seen.image).__name__} cannot be written")
    path = os.fspath(seen.image)
    suffix = os.path.splitext(path)[1][1:].lower()
    return read_regular(path, MAX_FRAME_BYTES), suffix if re.fullmatch("[a-z0-9]{1,5}", suffix) else "img"


def _listed(folder: Path) -> deque[_Kept]:
    """The frames that are there, by their numbers; what killed processes have left is deleted."""
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
    """The picture first, so that none is left without its answer."""
    for name in sorted(frame.names, key=lambda name: name.endswith(".json")):
        (folder / name).unlink(missing_ok=True)
