"""``--drift FILE``: counts what frames look like and what is answered, and tells when that changes."""

import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from runtime.drift.charts import CLASS, MIX_BINS
from runtime.drift.state import DriftState
from runtime.drift.statistics import look_of, mix_bin
from runtime.errors import OutputError
from runtime.events.detector import Event
from runtime.events.session import Seen
from runtime.spec import ModelSpec
from runtime.system.writing import atomic_path, check_writable
from runtime.text import say

EVERY_S = 1.0
"""The least time between two counted frames: faster ones show the same."""
BLOCK_FRAMES, LEAST_FRAMES = 100, 20
"""The frames of a block; at the end of an hour fewer are enough."""
WRITE_EVERY_S = 300.0
"""Memory cards wear."""
CLOCK_IS_SET_S = 1_600_000_000
"""A clock before September 2020 was never set, so its hour means nothing."""


@runtime_checkable
class DriftListener(Protocol):
    """Is told what has changed."""

    def drifted(self, sentences: Sequence[str]) -> None:
        """These sentences hold now; none: all is as usual."""


class DriftMonitor:
    """A listener that counts frames; its memory and its file are of constant size.

    Args:
        spec: of the model that answers.
        path: the state file: read if it is there, then written every five minutes and at the end.
        audience: is called when a sentence begins or ceases to hold.
        say: is called with the same, and when the file cannot be read or written.
        clock: seconds that never go back.
        wall: seconds of the wall clock.

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
        self._alarms: set[str] | None = None  # those that were told of, once any state was
        self._next_s, self._written_s = float("-inf"), clock()
        self._failed = False
        self._start_s = self._end_s = 0.0
        self._begin_block()
        self._tell()

    @property
    def sentences(self) -> list[str]:
        """What has changed, in plain sentences."""
        return self._state.sentences(self._wall())

    def seen(self, seen: Seen) -> None:
        """Count a frame, if the last one that was counted is a second ago."""
        now = self._clock()
        if seen.pixels is None or now < self._next_s or self._wall() < CLOCK_IS_SET_S:
            return
        self._next_s = now + EVERY_S
        answer = seen.prediction
        values = look_of(seen.pixels) | {"confidence": answer.probability}
        if self._tells_unknown:
            values["unknown"] = float(not answer.is_known)
        self._add(values, mix_bin(self._labels[answer.label], self._count))

    def happened(self, event: Event) -> None:
        """Events change nothing."""

    def close(self) -> None:
        """Write what is known; a block that is not full is lost."""
        self._write()

    def _add(self, values: dict[str, float], label_bin: int) -> None:
        wall = self._wall()
        if self._frames and int(wall // 3600) != int(self._start_s // 3600):
            if self._frames >= LEAST_FRAMES:
                self._end_block()
            elif abs(wall - self._start_s) > 3600:  # nothing came for long, or the clock was set
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
        """Tell of alarms that begin and cease; whether there are any."""
        alarms = set(self._state.charts.alarms())
        if alarms == self._alarms:
            return False
        if alarms or self._alarms:
            self._say(f"drift: {'; '.join(self.sentences) or 'as usual again'}")
        self._alarms = alarms
        for listener in self._audience:
            listener.drifted(self.sentences)
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
            self._say(f"drift: {error}; it is written anew")
            return new
        if old.model != new.model:
            self._say("drift: another model than before: learning anew what is usual here")
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
