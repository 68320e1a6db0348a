"""The search for the recipe: candidates are scored on the validation set, the fastest that passes the gate wins.

Three stages, each over few candidates, keep it to seconds: first the calibration method and the number of images, which
cannot change the speed; from the best of these, one structural change at a time; then all changes that paid together.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.manifest import Candidate as CandidateEntry
from pipeline.export.quantize.acceptance import Gate, Judgement, judge
from pipeline.export.quantize.config import METHODS, MIN_MAX, Recipe
from pipeline.export.quantize.layer import Layer
from pipeline.export.quantize.mixed_precision import next_float_layer
from pipeline.export.quantize.ranges import Activations
from pipeline.metrics.classification import correct, discordant
from pipeline.metrics.significance import mcnemar
from runtime.benchmark.figures import medians
from runtime.benchmark.timing import measure, single_images

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Timer = Callable[[dict[str, Predict], NDArray[np.uint8]], dict[str, list[float]]]

TIE = 0.10
"""Latencies within a tenth of the fastest are a tie: less than that is neither beyond this machine's noise nor carried
over to another processor, and the files are made for another one."""
SIGNIFICANCE = 0.05
CLOSE = 0.05
"""Mean differences within a twentieth of the smallest are a tie."""
IMAGE_COUNTS = (100, 500, 1_000)
DEFAULT_IMAGES = 500
ROUNDS, RUNS_A_ROUND, TIMED_IMAGES = 9, 50, 50
BATCH = 64
ERROR_IMAGES = 100
"""Validation images on which a failing network's layers are compared."""


class Quantizer(Protocol):
    """A network, calibrated once, that any recipe can be applied to."""

    changes: tuple[str, ...]
    """The yes-or-no fields of a recipe that make a difference to this format."""
    layers: tuple[Layer, ...]
    """In the data's order."""

    def build(self, recipe: Recipe) -> Any:
        """The deployable graph."""
        ...

    def activations(self, recipe: Recipe, pixels: NDArray[np.uint8]) -> tuple[Activations, Activations]:
        """Every layer's output in float and by the recipe."""
        ...


@dataclass(frozen=True)
class Validation:
    """What every choice rests on: labelled images, Keras's answers to them, and the bounds.

    Attributes:
        images: out of the training set, seen neither in training nor in calibration.
        expected: Keras's probabilities, float32 (N, C).
        gate: the bounds.
    """

    images: Dataset
    expected: NDArray[np.float32]
    gate: Gate


@dataclass(frozen=True)
class Candidate:
    """A recipe, how it did, and why it was tried.

    Attributes:
        latency_ratio: latency of one image on one thread as a multiple of the best calibration's, both measured in
            turns: the median over the rounds. ``None`` where it was not timed.
        sure_ratio: what that multiple stayed below in all rounds but one. The choice rests on it: a candidate that is
            not faster time and again does not win by a lucky moment, and a second export does not choose otherwise.
    """

    stage: str
    recipe: Recipe
    judgement: Judgement
    right: NDArray[np.bool_]
    latency_ratio: float | None = None
    sure_ratio: float | None = None

    def entry(self) -> CandidateEntry:
        """For the manifest."""
        return CandidateEntry(
            stage=self.stage,
            recipe=self.recipe.entry(),
            summary=str(self.recipe),
            latency_ratio=self.latency_ratio,
            sure_ratio=self.sure_ratio,
            **asdict(self.judgement),
        )


@dataclass(frozen=True)
class Outcome:
    """What the search found.

    Attributes:
        graph: the winner's graph, as the quantizer built it.
        candidates: everything tried, in order.
        winner: the one of ``candidates`` that ``graph`` is; its judgement says whether even it fails the gate.
    """

    graph: Any
    winner: Candidate
    candidates: tuple[Candidate, ...]


class Search:
    """One network's search.

    Args:
        quantizer: the network.
        validation: what candidates are scored on.
        load: engine for a graph that the quantizer built: uint8 (N, S, S, 3) to float32 (N, C).
        timer: median latencies of several engines in each round, by name.
    """

    def __init__(
        self,
        quantizer: Quantizer,
        validation: Validation,
        load: Callable[[Any], Predict],
        timer: Timer | None = None,
    ) -> None:
        self._quantizer, self._validation, self._load = quantizer, validation, load
        self._timer = timer or _medians_by_round
        self._tried: list[Candidate] = []

    def run(self, image_count: int, *, quick: bool = False) -> Outcome:
        """Find the recipe.

        Where nothing passes the gate, layers of the default candidate go back to float: minimum and maximum clip
        nothing, so that what noise a layer adds is its own.

        Args:
            image_count: how many calibration images there are.
            quick: take the default candidate; the gate and the way back to float apply all the same.
        """
        default = Recipe(MIN_MAX, min(DEFAULT_IMAGES, image_count))
        if quick:
            return self._finish(self.score("default", default))
        counts = image_counts(image_count)
        methods = [Recipe(method, count) for method in METHODS for count in counts]
        methods.sort(key=lambda recipe: recipe != default)  # the default first: of equals the first wins
        calibrated = [self.score("calibration", recipe) for recipe in methods]
        best = most_accurate(calibrated)
        changed = [self.score("structure", best.recipe.flipped(name)) for name in self._quantizer.changes]
        timed = self._time([best, *changed])
        winner = choose(timed)
        paying = [other for other in timed[1:] if other.judgement.passed and _faster(other, timed[0])]
        if len(paying) > 1:
            union = best.recipe
            for name in self._quantizer.changes:
                if any(getattr(other.recipe, name) != getattr(best.recipe, name) for other in paying):
                    union = union.flipped(name)
            winner = choose(self._time([timed[0], *paying, self.score("combined", union)]))
        return self._finish(winner if winner.judgement.passed else calibrated[0])

    def score(self, stage: str, recipe: Recipe) -> Candidate:
        """Build one candidate, hold it against Keras and put it on record."""
        images = self._validation.images
        got = predict_all(self._load(self._quantizer.build(recipe)), images.pixels)
        judgement = judge(self._validation.expected, got, images.labels, images.class_names, self._validation.gate)
        candidate = Candidate(stage, recipe, judgement, correct(got, images.labels))
        self._tried.append(candidate)
        return candidate

    def _time(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The same candidates with their latency against the first one's, here and in what was tried."""
        recipes = [candidate.recipe for candidate in candidates]
        engines = {str(recipe): self._load(self._quantizer.build(recipe)) for recipe in recipes}
        latencies = self._timer(engines, self._validation.images.pixels[:TIMED_IMAGES])
        first = np.array(latencies[str(recipes[0])])
        timed = []
        for candidate in candidates:
            ratios = np.sort(np.array(latencies[str(candidate.recipe)]) / first)
            entry = replace(
                candidate, latency_ratio=float(np.median(ratios)), sure_ratio=float(ratios[max(len(ratios) - 2, 0)])
            )
            self._tried = [entry if tried.recipe == entry.recipe else tried for tried in self._tried]
            timed.append(entry)
        return timed

    def _finish(self, candidate: Candidate) -> Outcome:
        """The outcome for a candidate, or for what becomes of it when layers go back to float until the gate passes.

        One layer stays int8: a file without any would not be what its name says.
        """
        pixels = self._validation.images.pixels[:ERROR_IMAGES]
        while not candidate.judgement.passed and len(candidate.recipe.float_layers) < len(self._quantizer.layers) - 1:
            exact, rounded = self._quantizer.activations(candidate.recipe, pixels)
            kept = candidate.recipe.float_layers
            found = next_float_layer(self._quantizer.layers, exact, rounded, kept)
            if found is None:
                break
            stage = f"back to float: {found[0]} (noise-to-signal ratio up by {found[1]:.1e})"
            candidate = self.score(stage, replace(candidate.recipe, float_layers=(*kept, found[0])))
        return Outcome(self._quantizer.build(candidate.recipe), candidate, tuple(self._tried))


def predict_all(predict: Predict, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """All answers, float32 (N, C), in batches that fit into memory."""
    starts = range(0, len(pixels), BATCH)
    return np.concatenate([predict(np.ascontiguousarray(pixels[start : start + BATCH])) for start in starts])


def image_counts(available: int) -> tuple[int, ...]:
    """The numbers of calibration images worth trying: those of 100, 500 and 1,000 that there are, or all."""
    return tuple(count for count in IMAGE_COUNTS if count <= available) or (available,)


def most_accurate(candidates: Sequence[Candidate]) -> Candidate:
    """The most accurate candidate, as far as the validation set can tell.

    Those that pass the gate come before those that do not. Among them, accuracies that the McNemar test cannot tell
    from the best are equal: their second decimal is luck. Of these, the mean difference from Keras, a figure that every
    image and every class has a part in, leaves those within ``CLOSE`` of the smallest; of them the most accurate wins,
    then the one nearest to Keras, then the first.
    """
    passing = [candidate for candidate in candidates if candidate.judgement.passed] or list(candidates)
    best = max(passing, key=lambda candidate: candidate.judgement.accuracy)
    equals = [candidate for candidate in passing if not _significantly_worse(candidate, best)]
    nearest = min(candidate.judgement.mean_difference for candidate in equals)
    near = [candidate for candidate in equals if candidate.judgement.mean_difference <= nearest * (1 + CLOSE)]
    return min(near, key=lambda candidate: (-candidate.judgement.accuracy, candidate.judgement.mean_difference))


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """The fastest that passes the gate; within ``TIE`` of it, the most accurate. All must be timed."""
    passing = [candidate for candidate in candidates if candidate.judgement.passed] or list(candidates)
    fastest = min(_ratio(candidate) for candidate in passing)
    return most_accurate([candidate for candidate in passing if _ratio(candidate) * (1 - TIE) <= fastest])


def _ratio(candidate: Candidate) -> float:
    if candidate.sure_ratio is None:
        raise ValueError(f"{candidate.recipe} was not timed")
    return candidate.sure_ratio


def _faster(candidate: Candidate, other: Candidate) -> bool:
    return _ratio(candidate) < _ratio(other) * (1 - TIE)


def _significantly_worse(candidate: Candidate, best: Candidate) -> bool:
    only_best, only_other = discordant(best.right, candidate.right)
    return only_best > only_other and mcnemar(only_best, only_other) < SIGNIFICANCE


def _medians_by_round(engines: dict[str, Predict], pixels: NDArray[np.uint8]) -> dict[str, list[float]]:
    timed = measure(engines, single_images(pixels), ROUNDS, RUNS_A_ROUND)
    return {name: medians(rounds).tolist() for name, rounds in timed.items()}
