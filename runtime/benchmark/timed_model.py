"""``TimedModel``: a loaded model in a worker process that times its own runs for the benchmark."""

import gc
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.benchmark.photo import split
from runtime.benchmark.timing import stopwatch
from runtime.engines.base import Pixels, Probabilities
from runtime.replay import ReplayResult
from runtime.spec import ModelSpec

WARM_UP_S = 3.0
STEADY = 0.05
"""Warm-up ends when two successive medians differ by at most this share (0-1), or after ``WARM_UP_S``."""
BLOCK_RUNS = 20
ANSWER_BATCH = 64
KEPT_BATCHES = 64


@dataclass(frozen=True)
class Facts:
    """What a contender states in the report besides its times.

    Attributes:
        images: name of the images that it is timed on unless others are given.
        accuracy: accuracy that the model file records (0-1); ``None`` if it records none.
        accuracy_images: number of images of that accuracy; ``None`` if unknown.
        accuracy_on: name of these images.
    """

    images: str
    accuracy: float | None = None
    accuracy_images: int | None = None
    accuracy_on: str = "images"


class TimedModel:
    """A prediction function and images to time it on.

    Engines that run in another program, such as a browser, override ``first``, ``time``, ``predicted_classes`` and
    ``peak_memory_bytes``.

    Args:
        run: maps pixels, uint8 (N, H, W, 3), to probabilities, float32 (N, C).
        pixels: uint8 (N, H, W, 3), images for timed runs until ``use`` replaces them.
        facts: what it states about the model.
    """

    def __init__(self, run: Callable[[Pixels], Probabilities], pixels: Pixels, facts: Facts) -> None:
        self.run, self.facts = run, facts
        self._images, self._next = pixels, 0
        self._batches: dict[int, list[Pixels]] = {}
        gc.freeze()  # otherwise the collector would examine the loaded objects during a timed run

    def first(self) -> None:
        """Run one black image."""
        self.run(np.zeros((1, *self._images.shape[1:]), np.uint8))

    def peak_memory_bytes(self) -> int:
        """Return the peak resident memory in bytes."""
        # On Linux, ru_maxrss of a child includes the parent's memory before exec; VmHWM does not.
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii")
            return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
        except (OSError, StopIteration):
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def use(self, path: str) -> None:
        """Use other images for timed runs: uint8 (N, H, W, 3) in an ``.npy`` file."""
        self._images, self._batches = np.load(path, mmap_mode="r"), {}

    def warm_up(self, limit_s: float = WARM_UP_S) -> float:
        """Run single images until their run time is steady, ``limit_s`` at most; return the seconds of one run."""
        before, end = 0.0, time.monotonic() + min(limit_s, WARM_UP_S)
        while True:
            now = statistics.median(self.time(1, BLOCK_RUNS)) / 1e9
            if abs(now - before) <= STEADY * before or time.monotonic() > end:
                return now
            before = now

    def time(self, batch: int, runs: int) -> list[int]:
        """Return the times in nanoseconds of ``runs`` runs on batches of ``batch`` images, after a few untimed runs."""
        batches = self._of(batch)
        for values in batches[: 1 + runs // 10]:
            self.run(values)
        chosen = [batches[index % len(batches)] for index in range(self._next, self._next + runs)]
        self._next += runs
        return stopwatch(self.run, chosen)

    def predicted_classes(self, path: str) -> list[int]:
        """Return the most probable class of each image in an ``.npy`` file."""
        pixels = np.load(path, mmap_mode="r")
        return [
            answer
            for start in range(0, len(pixels), ANSWER_BATCH)
            for answer in self.run(np.ascontiguousarray(pixels[start : start + ANSWER_BATCH])).argmax(axis=1).tolist()
        ]

    def golden(self) -> ReplayResult | None:
        """Return the result of replaying the file's golden set; ``None`` if it has none."""
        return None

    def spec(self) -> ModelSpec | None:
        """Return the model's spec; ``None`` if photos are preprocessed by another program, which is not measured."""
        return None

    def photo(self, path: str, runs: int) -> dict[str, list[int]] | None:
        """Return the times in nanoseconds of each step of classifying a photo file; ``None`` without a spec."""
        spec = self.spec()
        return None if spec is None else split(self.run, spec, path, runs)

    def _of(self, batch: int) -> list[Pixels]:
        if batch not in self._batches:
            count = max(1, min(KEPT_BATCHES, len(self._images)) // batch)
            rows = np.arange(count * batch).reshape(count, batch) % len(self._images)
            self._batches[batch] = [np.ascontiguousarray(self._images[row]) for row in rows]
        return self._batches[batch]
