"""A loaded model that times itself for the benchmark, in a process of its own."""

import gc
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from runtime.benchmark.photo import split
from runtime.benchmark.timing import stopwatch
from runtime.engines.base import Pixels, Probabilities
from runtime.spec import ModelSpec

WARM_UP_S = 3.0
STEADY = 0.05
"""Warm is what takes as long as just before, up to this share, or has run for ``WARM_UP_S``."""
BLOCK_RUNS = 20
ANSWER_BATCH = 64
KEPT_BATCHES = 64


class TimedModel:
    """What turns pixels into probabilities, and images to feed it.

    An engine that runs elsewhere, as one in a browser does, overrides what only it can know: ``first``, ``time``,
    ``answers`` and ``peak_memory_bytes``.

    Args:
        run: uint8 (N, S, S, 3) to float32 (N, C).
        pixels: uint8 (N, S, S, 3), what runs are timed on until ``use`` gives others.
        facts: what else there is to say of it: ``images``, what these are, and ``accuracy``, ``accuracy_images`` and
            ``accuracy_on`` where the file records them.
    """

    def __init__(self, run: Callable[[Pixels], Probabilities], pixels: Pixels, **facts: Any) -> None:
        self.run, self.facts = run, facts
        self._images, self._next = pixels, 0
        self._batches: dict[int, list[Pixels]] = {}
        gc.freeze()  # what was loaded is not garbage, and looking it over would fall into a timed run

    def first(self) -> None:
        """Answer one image."""
        self.run(np.zeros((1, *self._images.shape[1:]), np.uint8))

    def peak_memory_bytes(self) -> int:
        """Resident memory at its peak."""
        # Linux counts what the parent held as the child's ru_maxrss; the peak of this address space is the child's own.
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii")
            return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
        except (OSError, StopIteration):
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def use(self, path: str) -> None:
        """Time on these images, uint8 (N, S, S, 3) in an ``.npy`` file."""
        self._images, self._batches = np.load(path, mmap_mode="r"), {}

    def warm_up(self) -> float:
        """Run single images until that takes no longer and no shorter than just before; the seconds of one."""
        before, end = 0.0, time.monotonic() + WARM_UP_S
        while True:
            now = statistics.median(self.time(1, BLOCK_RUNS)) / 1e9
            if abs(now - before) <= STEADY * before or time.monotonic() > end:
                return now
            before = now

    def time(self, batch: int, runs: int) -> list[int]:
        """Nanoseconds of each of ``runs`` runs on ``batch`` images, after a few that are not counted."""
        batches = self._of(batch)
        for values in batches[: 1 + runs // 10]:
            self.run(values)
        chosen = [batches[index % len(batches)] for index in range(self._next, self._next + runs)]
        self._next += runs
        return stopwatch(self.run, chosen)

    def answers(self, path: str) -> list[int]:
        """The most probable class of each image in an ``.npy`` file."""
        pixels = np.load(path, mmap_mode="r")
        return [
            answer
            for start in range(0, len(pixels), ANSWER_BATCH)
            for answer in self.run(np.ascontiguousarray(pixels[start : start + ANSWER_BATCH])).argmax(axis=1).tolist()
        ]

    def golden(self) -> dict[str, Any] | None:
        """How the file's golden set is answered here; ``None`` without one."""
        return None

    def spec(self) -> ModelSpec | None:
        """How photos become its pixels; ``None`` where that is done elsewhere, and is not measured."""
        return None

    def photo(self, path: str, runs: int) -> dict[str, list[int]] | None:
        """Nanoseconds of each part of the way from photo to label."""
        spec = self.spec()
        return None if spec is None else split(self.run, spec, path, runs)

    def _of(self, batch: int) -> list[Pixels]:
        if batch not in self._batches:
            count = max(1, min(KEPT_BATCHES, len(self._images)) // batch)
            rows = np.arange(count * batch).reshape(count, batch) % len(self._images)
            self._batches[batch] = [np.ascontiguousarray(self._images[row]) for row in rows]
        return self._batches[batch]
