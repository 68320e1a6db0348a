"""Measure all contenders: start-up, warm-up, interleaved rounds of timed runs, and classification of a photo file."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.benchmark.contenders import Contender
from runtime.benchmark.photo import PARTS, Photo, describe_photo, write_photo
from runtime.benchmark.progress import time_left
from runtime.benchmark.timing import shuffled
from runtime.benchmark.workers import Startup, Worker, WorkerError
from runtime.engines.base import Pixels
from runtime.replay import ReplayResult
from runtime.system.machine import examine_machine
from runtime.text import plural

ROUNDS = 30
BATCHES = (1, 8, 64)
BATCH_ROUNDS, FEWEST_BATCH_ROUNDS = 10, 3
"""Rounds in which batches larger than 1 are timed; fewer for a slow network, whose batches take long."""
MOST_RUNS = 1_000
"""Most runs per turn; a fast contender's turn ends before its time is used up."""
STARTS = 3
STARTS_S = 6.0
"""A contender is started at most ``STARTS`` times, and not again after ``STARTS_S`` seconds."""
PHOTO_ROUNDS, PHOTO_RUNS = 10, 3
LEFT_MIB = 128
"""Contenders are started only while this much memory is available; all stay loaded at the same time."""
STARTED = ("load_ms", "first_result_ms", "cold_start_ms", "peak_memory_bytes")


@dataclass
class Measured:
    """Measurements of one contender.

    Attributes:
        contender: the contender.
        reason: why there are no figures; ``None`` if there are.
        starts: the start of each of its processes.
        rounds: run times in nanoseconds, by batch size and round.
        predicted: class of each test image, int64 (N,).
        golden: result of replaying the golden set in its file.
        photo: run times in nanoseconds of each step of classifying a photo file.
        worker: its process during the measurement.
        seconds: latest estimate of the time for one image, in seconds.
        spent: seconds of all turns so far, by batch size, with all that a turn needs besides the timed runs.
    """

    contender: Contender
    reason: str | None = None
    starts: list[Startup] = field(default_factory=list)
    rounds: dict[int, list[list[int]]] = field(default_factory=lambda: {batch: [] for batch in BATCHES})
    predicted: NDArray[np.int64] | None = None
    golden: ReplayResult | None = None
    photo: dict[str, list[int]] = field(default_factory=lambda: {part: [] for part in PARTS})
    worker: Any = None
    seconds: float = 0.0
    spent: dict[int, float] = field(default_factory=lambda: dict.fromkeys(BATCHES, 0.0))

    def started(self) -> dict[str, float]:
        """Return the start-up figures, each the median over its starts."""
        return {name: statistics.median_low(getattr(start, name) for start in self.starts) for name in STARTED}


def measure(
    contenders: Sequence[Contender],
    seconds: float,
    *,
    images: Pixels | None = None,
    photo: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[Measured], Photo]:
    """Measure all contenders. If one fails, its ``reason`` is set, and the others are measured.

    Args:
        contenders: the contenders; missing ones are returned without figures.
        seconds: approximate total time of timed single-image runs per contender; at most ``MOST_RUNS`` per round.
        images: uint8 (N, H, W, 3), to classify and to time on; ``None``: the images in the model files.
        photo: an image file; ``None``: a generated one.
        say: called with progress messages.

    Returns:
        The measurements in the order of ``contenders``, and a description of the photo.

    Raises:
        ImageError: the photo cannot be read.
    """
    measured = [Measured(contender, contender.missing) for contender in contenders]
    with tempfile.TemporaryDirectory() as folder:
        if photo is None:
            photo = Path(folder) / "photo.jpg"
            write_photo(photo)
        described = describe_photo(photo)
        file = Path(folder) / "images.npy"
        if images is not None:
            np.save(file, images)
        try:
            able = list(_going(measured))
            for number, one in enumerate(able, 1):
                contender = one.contender
                name = f"{contender.artifact.name} on {contender.engine} x{contender.threads}"
                say(f"starting {number} of {len(able)}: {name}")
                _attempt(_prepare, one, None if images is None else file, seconds)
            take_turns(measured, seconds / ROUNDS, say)
            _photo_to_label(measured, str(photo), say)
        finally:
            for one in measured:
                if one.worker:
                    one.worker.close()
    return measured, described


def _going(measured: Iterable[Measured]) -> Iterator[Measured]:
    return (one for one in measured if one.reason is None)


def _attempt(step: Callable[..., None], one: Measured, *arguments: Any) -> None:
    try:
        step(one, *arguments)
    except WorkerError as error:
        one.reason = str(error)


def _prepare(one: Measured, file: Path | None, warm_up_s: float) -> None:
    left = examine_machine(Path("/")).memory_available_mib
    if left is not None and left < LEFT_MIB:
        raise WorkerError(f"not started: only {left} MiB of memory are available: use fewer files or --threads 1")
    begin = time.monotonic()
    while not one.starts or (len(one.starts) < STARTS and time.monotonic() - begin < STARTS_S):
        if one.worker:
            one.worker.close()
        one.worker = Worker(one.contender.command, one.contender.install)
        one.starts.append(one.worker.startup)
    if file:
        one.worker.ask("use", path=str(file))
        one.predicted = np.array(one.worker.ask("predicted_classes", path=str(file)))
    golden = one.worker.ask("golden")
    one.golden = ReplayResult(**golden) if golden else None
    one.seconds = one.worker.ask("warm_up", limit_s=warm_up_s)


def take_turns(measured: Sequence[Measured], turn_s: float, say: Callable[[str], None]) -> None:
    """Time all contenders in shuffled rounds: one image in each, batches in the first ``BATCH_ROUNDS``."""
    able = list(_going(measured))
    rounds = [
        [(one, batch) for one in able for batch in BATCHES if batch == 1 or number < BATCH_ROUNDS]
        for number in range(ROUNDS)
    ]
    for number, turns in enumerate(shuffled(rounds), 1):
        left = sum(seconds_left(one, turn_s) for one in _going(able)) if number > 1 else None
        say(f"timing {plural(len(able), 'contender')}: round {number} of {ROUNDS}{time_left(left)}")
        for one, batch in turns:
            if one.reason is None and (batch == 1 or len(one.rounds[batch]) < batch_rounds(one, batch, turn_s)):
                begin = time.monotonic()
                _attempt(_turn, one, batch, turn_s)
                one.spent[batch] += time.monotonic() - begin


def seconds_left(one: Measured, turn_s: float) -> float:
    """Estimate the seconds of a contender's remaining turns: each takes as long as its turns of this batch size did."""
    planned = {batch: ROUNDS if batch == 1 else batch_rounds(one, batch, turn_s) for batch in BATCHES}
    return sum(
        max(0, planned[batch] - len(done)) * one.spent[batch] / len(done) for batch, done in one.rounds.items() if done
    )


def batch_rounds(one: Measured, batch: int, turn_s: float) -> int:
    """Compute the number of rounds that take as long as all single-image runs; each runs a batch once untimed."""
    affordable = int(turn_s * ROUNDS / (2 * batch * one.seconds))
    return min(max(affordable, FEWEST_BATCH_ROUNDS), BATCH_ROUNDS)


def _turn(one: Measured, batch: int, turn_s: float) -> None:
    runs = min(MOST_RUNS, max(1, int(turn_s / one.seconds / batch)))
    nanoseconds = one.worker.ask("time", batch=batch, runs=runs)
    one.rounds[batch].append(nanoseconds)
    if batch == 1:
        one.seconds = max(statistics.median(nanoseconds), 1) / 1e9  # warm-up may have met a slow moment


def _photo_to_label(measured: Sequence[Measured], photo: str, say: Callable[[str], None]) -> None:
    able, begin = list(_going(measured)), time.monotonic()
    for number, turns in enumerate(shuffled([able] * PHOTO_ROUNDS)):
        left = (time.monotonic() - begin) / number * (PHOTO_ROUNDS - number) if number else None
        say(f"timing photo to label: round {number + 1} of {PHOTO_ROUNDS}{time_left(left)}")
        for one in _going(turns):
            _attempt(_photograph, one, photo)


def _photograph(one: Measured, photo: str) -> None:
    parts = one.worker.ask("photo", path=photo, runs=PHOTO_RUNS) or {}
    for name, values in parts.items():
        one.photo[name] += values
