"""The measurement: starts, warm-up, rounds in which all contenders take turns, and the way from photo to label."""

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
from runtime.benchmark.progress import Countdown
from runtime.benchmark.timing import shuffled
from runtime.benchmark.workers import Worker, WorkerError
from runtime.engines.base import Pixels
from runtime.system.machine import examine_machine

ROUNDS = 30
BATCHES = (1, 8, 64)
BATCH_ROUNDS, FEWEST_BATCH_ROUNDS = 10, 3
"""In how many rounds larger batches are timed; fewer of a slow network, on which they would take most of the time."""
MOST_RUNS = 1_000
"""Of one turn; a fast contender's turn ends before its time is up."""
STARTS = 3
STARTS_S = 6.0
"""How often a contender is started at most, and the seconds after which no further start is made."""
PHOTO_ROUNDS, PHOTO_RUNS = 10, 3
LEFT_MIB = 128
"""All contenders are in memory at once; none is started where less is left, since the kernel would end any process."""
STARTED = ("load_ms", "first_result_ms", "cold_start_ms", "peak_memory_bytes")


@dataclass
class Measured:
    """What was seen of one contender.

    Attributes:
        contender: which.
        reason: why there are no figures; ``None`` where there are.
        starts: what each of its processes reported about its start.
        rounds: nanoseconds of the runs of every round, by batch.
        answers: the class of each test image.
        golden: how it answers the golden set that its file carries.
        photo: nanoseconds of each part of the way from photo to label.
        worker: its process, while it is measured.
        seconds: what a run on one image last took.
    """

    contender: Contender
    reason: str | None = None
    starts: list[dict[str, Any]] = field(default_factory=list)
    rounds: dict[int, list[list[int]]] = field(default_factory=lambda: {batch: [] for batch in BATCHES})
    answers: NDArray[np.int64] | None = None
    golden: dict[str, Any] | None = None
    photo: dict[str, list[int]] = field(default_factory=lambda: {part: [] for part in PARTS})
    worker: Any = None
    seconds: float = 0.0

    def started(self) -> dict[str, float]:
        """Medians over its starts."""
        return {name: statistics.median_low(start[name] for start in self.starts) for name in STARTED}


def measure(
    contenders: Sequence[Contender],
    seconds: float,
    *,
    images: Pixels | None = None,
    photo: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[Measured], Photo]:
    """Measure all contenders; where one fails, its row says so and the others go on.

    Args:
        contenders: who takes part; missing ones are returned as they are.
        seconds: timed runs of single images of each contender take about so long, or ``MOST_RUNS`` a round.
        images: uint8 (N, S, S, 3), to classify and to time on, in place of what the files carry.
        photo: an image file, in place of a generated one.
        say: is called with what is being done.

    Returns:
        What was seen of each in the same order, and what the photo is.

    Raises:
        ImageError: the photo is not an image that is read.
    """
    seen = [Measured(contender, contender.missing) for contender in contenders]
    with tempfile.TemporaryDirectory() as folder:
        if photo is None:
            photo = Path(folder) / "photo.jpg"
            write_photo(photo)
        described = describe_photo(photo)
        file = Path(folder) / "images.npy"
        if images is not None:
            np.save(file, images)
        try:
            able = list(_going(seen))
            for number, one in enumerate(able, 1):
                contender = one.contender
                name = f"{contender.artifact.name} on {contender.engine} x{contender.threads}"
                say(f"starting {number} of {len(able)}: {name}")
                _attempt(_prepare, one, None if images is None else file)
            _take_turns(seen, seconds / ROUNDS, say)
            _photo_to_label(seen, str(photo), say)
        finally:
            for one in seen:
                if one.worker:
                    one.worker.close()
    return seen, described


def _going(seen: Iterable[Measured]) -> Iterator[Measured]:
    return (one for one in seen if one.reason is None)


def _attempt(step: Callable[..., None], one: Measured, *arguments: Any) -> None:
    try:
        step(one, *arguments)
    except WorkerError as error:
        one.reason = str(error)


def _prepare(one: Measured, file: Path | None) -> None:
    left = examine_machine(Path("/")).get("memory_available_mib", LEFT_MIB)
    if left < LEFT_MIB:
        raise WorkerError(f"not started, as only {left} MiB of memory are left: take fewer files or --threads 1")
    begin = time.monotonic()
    while not one.starts or (len(one.starts) < STARTS and time.monotonic() - begin < STARTS_S):
        if one.worker:
            one.worker.close()
        one.worker = Worker(one.contender.command, one.contender.install)
        one.starts.append(one.worker.startup)
    if file:
        one.worker.ask("use", path=str(file))
        one.answers = np.array(one.worker.ask("answers", path=str(file)))
    one.golden = one.worker.ask("golden")
    one.seconds = one.worker.ask("warm_up")


def _take_turns(seen: Sequence[Measured], turn_s: float, say: Callable[[str], None]) -> None:
    able = list(_going(seen))
    rounds = [
        [(one, batch) for one in able for batch in BATCHES if batch == 1 or number < BATCH_ROUNDS]
        for number in range(ROUNDS)
    ]
    done, countdown = 0, Countdown(sum(map(len, rounds)))
    for number, turns in enumerate(shuffled(rounds), 1):
        say(f"timing {len(able)} contenders: round {number} of {ROUNDS}{countdown.left(done)}")
        for one, batch in turns:
            if one.reason is None and (batch == 1 or len(one.rounds[batch]) < batch_rounds(one, batch, turn_s)):
                _attempt(_turn, one, batch, turn_s)
        done += len(turns)


def batch_rounds(one: Measured, batch: int, turn_s: float) -> int:
    """As many rounds as take about as long as all runs on single images; each runs a batch once untimed."""
    affordable = int(turn_s * ROUNDS / (2 * batch * one.seconds))
    return min(max(affordable, FEWEST_BATCH_ROUNDS), BATCH_ROUNDS)


def _turn(one: Measured, batch: int, turn_s: float) -> None:
    runs = min(MOST_RUNS, max(1, int(turn_s / one.seconds / batch)))
    nanoseconds = one.worker.ask("time", batch=batch, runs=runs)
    one.rounds[batch].append(nanoseconds)
    if batch == 1:
        one.seconds = max(statistics.median(nanoseconds), 1) / 1e9  # warm-up may have met a slow moment


def _photo_to_label(seen: Sequence[Measured], photo: str, say: Callable[[str], None]) -> None:
    able = list(_going(seen))
    countdown = Countdown(PHOTO_ROUNDS)
    for number, turns in enumerate(shuffled([able] * PHOTO_ROUNDS)):
        say(f"timing photo to label: round {number + 1} of {PHOTO_ROUNDS}{countdown.left(number)}")
        for one in _going(turns):
            _attempt(_photograph, one, photo)


def _photograph(one: Measured, photo: str) -> None:
    parts = one.worker.ask("photo", path=photo, runs=PHOTO_RUNS) or {}
    for name, values in parts.items():
        one.photo[name] += values
