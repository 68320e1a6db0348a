"""Find the fastest model file, engine and number of threads on this machine, among those that pass the golden set."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.benchmark.contenders import thread_counts
from runtime.benchmark.statistics import median_us, medians, ratio
from runtime.benchmark.timing import measure, single_images
from runtime.classifier import Classifier
from runtime.engines.registry import Engine, engines, file_formats
from runtime.errors import ModelFileNotFoundError, ModelSpecError
from runtime.system.child import interpreter
from runtime.system.machine import CPU_FEATURES
from runtime.system.probe import probe
from runtime.text import first_of, plural
from runtime.tuning import visible_files

ROUNDS = 15
MAX_RUNS = 300
"""Most runs per turn; more do not make the median of a small model more precise."""
TIE = 1.02
"""A contender ties with the fastest if the lower end of its latency ratio's 95 % interval is below this."""


class Loaded(NamedTuple):
    """A model file loaded in an engine, and the engine's official name."""

    classifier: Classifier
    title: str

    @property
    def name(self) -> str:
        """Precision, format, engine and threads in words."""
        classifier = self.classifier
        suffix = classifier.path.suffix.lower()
        known = file_formats().get(suffix)
        kind = known.title if known else suffix.lstrip(".")
        threads = f"{classifier.threads} thread" + "s" * (classifier.threads > 1)
        return f"{classifier.spec.precision} {kind} on {self.title}, {threads}"


class Timed(NamedTuple):
    """A contender and the medians of its rounds in microseconds, float64 (R,)."""

    contender: Loaded
    medians_us: NDArray[np.float64]

    @property
    def p50_us(self) -> float:
        """The median of the rounds' medians."""
        return float(np.median(self.medians_us))


class Race(NamedTuple):
    """Contenders that were measured together, and the one to choose among them."""

    timed: list[Timed]
    best: Timed


class Candidate(NamedTuple):
    """A file, an engine that reads it, and the result of replaying the file's golden set there."""

    path: Path
    engine: Engine
    passed: bool
    reason: str


def candidates(folder: Path, say: Callable[[str], None]) -> list[Candidate]:
    """Replay each file's golden set on each engine that reads it, in a child process, because the engine may crash.

    Raises:
        ModelFileNotFoundError: there is no model file.
    """
    known = engines()
    suffixes = {suffix for engine in known for suffix in engine.suffixes}
    files = visible_files(folder, suffixes)
    if not files:
        raise ModelFileNotFoundError(f"{folder}: no model file there; expected {', '.join(sorted(suffixes))}")
    found = []
    for path in files:
        for engine in known:
            if path.suffix.lower() not in engine.suffixes:
                continue
            if engine.missing:
                found.append(Candidate(path, engine, passed=False, reason=f"{engine.missing}: {engine.install}"))
                continue
            say(f"{path.name} on {engine.title}")
            command = [*interpreter(), "-m", "runtime", "verify", str(path), "--engine", engine.name]
            result = probe(command, engine.install)
            found.append(Candidate(path, engine, passed=result.works, reason=result.says))
    return found


def race(passing: list[Candidate], seconds: float, say: Callable[[str], None]) -> list[Race]:
    """Measure all contenders with one thread, then with two, and so on.

    The best of a race takes part in the next one too, so only contenders of the same race are compared. All contenders
    of a race are loaded at once, because their turns alternate: a change of the processor's speed affects all alike.
    After the race, all but its best are closed.
    """
    races: list[Race] = []
    for threads in thread_counts():
        say(f"{plural(len(passing), 'contender')}, {plural(threads, 'thread')}")
        taking_part = [
            Loaded(Classifier(each.path, threads, engine=each.engine.name), each.engine.title) for each in passing
        ]
        if races:
            taking_part.append(races[-1].best.contender)
        timed = _measured(taking_part, seconds)
        best = select(timed)
        for each in timed:
            if each is not best:
                each.contender.classifier.close()
        races.append(Race(timed, best))
    return races


def _measured(contenders: list[Loaded], seconds: float) -> list[Timed]:
    images = single_images(_images(contenders))
    predict = {str(index): contender.classifier.predict for index, contender in enumerate(contenders)}
    slowest_us = max(median_us(rounds) for rounds in measure(predict, images, 1, 5).values())
    runs = min(MAX_RUNS, max(1, int(seconds * 1e6 / ROUNDS / slowest_us)))
    rounds = measure(predict, images, ROUNDS, runs)
    return [Timed(contender, medians(rounds[str(index)]) / 1e3) for index, contender in enumerate(contenders)]


def _images(contenders: list[Loaded]) -> NDArray[np.uint8]:
    specs = {(each.classifier.spec.shape, each.classifier.spec.class_names) for each in contenders}
    if len(specs) > 1:
        names = first_of(sorted({each.classifier.path.name for each in contenders}))
        raise ModelSpecError(
            f"{names} are not one model: their input sizes or classes differ: keep each model in a folder of its own"
        )
    golden = contenders[0].classifier.golden()
    assert golden is not None  # noqa: S101 - it has been replayed
    return golden.pixels


def select(timed: list[Timed]) -> Timed:
    """Return the fastest contender; among those that tie, the most accurate, then the smallest, then fewest threads."""
    fastest = min(timed, key=lambda each: each.p50_us)

    def merit(each: Timed) -> tuple[float, int, int, float]:
        classifier = each.contender.classifier
        return -(classifier.spec.accuracy or 0.0), classifier.path.stat().st_size, classifier.threads, each.p50_us

    return min((each for each in timed if ties(each, fastest)), key=merit)


def ties(timed: Timed, fastest: Timed) -> bool:
    """Return whether the difference in latency is within the noise of the rounds."""
    return ratio(timed.medians_us, fastest.medians_us).low < TIE


def reason(races: list[Race], features: Iterable[str]) -> str:
    """Say why the best was chosen, in one sentence; ``features`` are the processor's keys of ``CPU_FEATURES``."""
    winner = races[-1].best.contender
    won = next(each for each in races if each.best.contender is winner)
    dots = [name for name in features if "int8" in CPU_FEATURES[name]]
    processor = (
        f"this CPU has int8 dot products ({', '.join(dots)})" if dots else "this CPU has no dot-product instructions"
    )
    return f"{winner.name}: {_compared(won if _rival(races[-1]) is None else races[-1])}; {processor}"


def _rival(race: Race) -> Timed | None:
    """Return the fastest contender, if the chosen one only ties with it; ``None`` if the chosen one is the fastest."""
    fastest = min(race.timed, key=lambda each: each.p50_us)
    return None if fastest.contender is race.best.contender else fastest


def _compared(race: Race) -> str:
    ours = race.best.contender.classifier
    others = [each for each in race.timed if each.contender is not race.best.contender]
    if not others:
        return "the only one whose golden set passes"
    unlike = [each for each in others if each.contender.classifier.spec.precision != ours.spec.precision]
    other = _rival(race) or min(unlike or others, key=lambda each: each.p50_us)
    theirs = other.contender.classifier
    name = theirs.spec.precision if theirs.spec.precision != ours.spec.precision else other.contender.name
    if not ties(other, race.best):
        return f"{ratio(other.medians_us, race.best.medians_us).value:.2g} x as fast as {name}"
    return f"as fast as {name} within the noise, and {_advantage(ours, theirs)}"


def _advantage(ours: Classifier, theirs: Classifier) -> str:
    """Return the criterion by which ``select`` chose between contenders that tie, in words."""
    if (ours.spec.accuracy or 0) > (theirs.spec.accuracy or 0):
        return "more accurate"
    if ours.path.stat().st_size < theirs.path.stat().st_size:
        return "smaller"
    return "with fewer threads" if ours.threads < theirs.threads else "no larger"
