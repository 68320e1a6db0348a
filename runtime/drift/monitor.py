"""``--drift FILE``: collect statistics of frames and predictions, and report when they change."""

import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from runtime.drift.charts import CLASS, MIX_BINS
from runtime.drift.state import DriftState
from runtime.drift.statistics import appearance, mix_bin
from runtime.errors import OutputError
from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.spec import ModelSpec
from runtime.system.writing import atomic_path, check_writable
from runtime.text import say

EVERY_S = 1.0
"""Shortest time between two counted frames, because faster frames show the same."""
BLOCK_FRAMES, LEAST_FRAMES = 100, 20
"""Number of frames in a block; at the end of an hour ``LEAST_FRAMES`` are enough."""
WRITE_EVERY_S = 300.0
"""Shortest time between two writes; fewer writes wear a memory card less."""
CLOCK_IS_SET_S = 1_600_000_000
"""Frames are not counted while the wall clock is before September 2020: it is not set yet."""


@runtime_checkable
class DriftListener(Protocol):
    """A receiver of drift reports."""

    def on_drift(self, sentences: Sequence[str]) -> None:
        """Handle alarms that begin or end, one sentence each; empty: everything is as usual."""


class DriftMonitor:
    """A listener that collects statistics of frames; its memory and its file have constant size.

    Args:
        spec: spec of the model.
        path: state file; read if it exists, then written every five minutes and at the end.
        audience: listeners that are called when an alarm begins or ends.
        say: called with the same sentences, and when the file cannot be read or written.
        clock: monotonic clock, in seconds.
        wall: wall clock, in seconds since 1970.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the last three are for tests
        self,
        spec: ModelSpec,
        path: Path,
        audience: Sequence[DriftListener] = (),
        say: Callable[[str], None] = say,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        check_writable(path)
        self._path, self._audience, self._say, self._clock, self._wall = path, audience, say, clock, wall
        self._labels = {name: label for label, name in enumerate(spec.class_names)}
        self._count = len(spec.class_names)
        self._tells_unknown = spec.known_threshold is not None
        self._state = self._restored(spec)
        self._alarms: set[str] | None = None  # as last reported; None before the first report
        self._next_s, self._written_s = float("-inf"), clock()
        self._failed = False
        self._start_s = self._end_s = 0.0
        self._begin_block()
        self._tell()

    @property
    def sentences(self) -> list[str]:
        """One sentence per alarm."""
        return self._state.sentences(self._wall())

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Count a frame if at least ``EVERY_S`` have passed since the last counted frame."""
        now = self._clock()
        if frame.pixels is None or now < self._next_s or self._wall() < CLOCK_IS_SET_S:
            return
        self._next_s = now + EVERY_S
        answer = frame.prediction
        values = appearance(frame.pixels) | {"confidence": answer.probability}
        if self._tells_unknown:
            values["unknown"] = float(not answer.is_known)
        self._add(values, mix_bin(self._labels[answer.label], self._count))

    def on_event(self, event: Event) -> None:
        """Do nothing: drift does not depend on events."""

    def close(self) -> None:
        """Write the state; an unfinished block is lost."""
        self._write()

    def _add(self, values: dict[str, float], label_bin: int) -> None:
        wall = self._wall()
        if self._frames and int(wall // 3600) != int(self._start_s // 3600):
            if self._frames >= LEAST_FRAMES:
                self._end_block()
            elif abs(wall - self._start_s) > 3600:  # no frames for a long time, or the clock was set
                self._begin_block()
        if not self._frames:
            self._start_s = wall
        self._frames += 1
        self._end_s = wall
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._mix[label_bin] += 1
        if self._frames >= BLOCK_FRAMES:
            self._end_block()

    def _begin_block(self) -> None:
        self._frames, self._sums, self._mix = 0, dict[str, float](), [0] * min(self._count, MIX_BINS)

    def _end_block(self) -> None:
        frames = self._frames
        values = {name: total / frames for name, total in self._sums.items()}
        values |= {f"{CLASS}{number}": count / frames for number, count in enumerate(self._mix)}
        self._state.charts.add(values, self._start_s, self._end_s)
        self._begin_block()
        changed = self._tell()
        if changed or self._clock() - self._written_s >= WRITE_EVERY_S:
            self._write()

    def _tell(self) -> bool:
        """Report alarms that began or ended; return whether there was a change."""
        alarms = set(self._state.charts.alarms())
        if alarms == self._alarms:
            return False
        if alarms or self._alarms:
            self._say(f"drift: {'; '.join(self.sentences) or 'as usual again'}")
        self._alarms = alarms
        for listener in self._audience:
            listener.on_drift(self.sentences)
        return True

    def _restored(self, spec: ModelSpec) -> DriftState:
        quantiles = (spec.validation or {}).get("quantiles", {})
        ranges = {name: (values[0], values[-1]) for name, values in quantiles.items()}
        names = spec.class_names if self._count <= MIX_BINS else ()
        new = DriftState(f"{zlib.crc32(spec.to_json().encode()):08x}", names, ranges)
        try:
            old = DriftState.read(self._path)
        except FileNotFoundError:
            return new
        except OutputError as error:
            self._say(f"drift: {error}; starting a new one")
            return new
        if old.model != new.model:
            self._say("drift: the model has changed: learning again what is usual here")
            return new
        return old

    def _write(self) -> None:
        self._written_s = self._clock()
        try:
            with atomic_path(self._path) as path:
                path.write_bytes(self._state.to_json())
        except OSError as error:
            if not self._failed:
                self._say(f"drift: {self._path}: {error.strerror or error}; trying again every five minutes")
            self._failed = True
        else:
            self._failed = False
