"""Search for the preprocessing with which a model is most accurate on labeled images.

The candidates differ in one property at a time; value range and channel order count as one property. Of candidates that
the photos do not tell apart, the one whose probabilities fit the labels best is chosen: with too large a value range,
nearly all of them are 0 or 1.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.documents.base import MIN_IMAGES_FOR_VERDICT
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import softmax
from pipeline.metrics.significance import share_interval
from pipeline.verify.input_contract.class_order import describe
from pipeline.verify.input_contract.measure import Measure, Order, Outcome, Scores
from pipeline.verify.input_contract.preprocessing import Preprocessing
from runtime.spec import ModelSpec
from runtime.text import plural

MOST_TIES = 2
"""At most this many others are named that the photos do not tell from the best one."""
SAME_LOSS = 0.03
"""Losses that differ by less are taken for equal."""
FEWEST_ASKED = 10
"""On fewer images nothing is concluded."""
ROUNDS, BATCH = 3, 50
SATURATED = 0.99
"""A mean confidence above this is suspicious if fewer answers are right."""
CLASSES = "classes"
"""The name of the class order in ``Finding.differs``, beside ``pipeline.documents.manifest.CONTRACT_PARTS``."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Finding:
    """The result of checking a model's preprocessing with labeled images.

    Attributes:
        images: number of images.
        accuracy: with the given preprocessing, 0-1; macro F1 of a multi-label model.
        better: the same figure with the preprocessing that ``sentence`` names.
        differs: the properties in which that preprocessing differs; empty if none is significantly better.
        sentence: the flags to give and both accuracies; empty if no other preprocessing is significantly better.
        caveats: reasons to doubt that the input contract is right, if ``sentence`` is empty.
    """

    images: int
    accuracy: float
    better: float
    differs: tuple[str, ...] = ()
    sentence: str = ""
    caveats: tuple[str, ...] = ()

    def contradicts(self, asked: Collection[str]) -> bool:
        """Return whether the better preprocessing differs in a property that is not in ``asked``."""
        return not set(self.differs) <= set(asked)

    @property
    def checked(self) -> str:
        """The result as a text for the input contract."""
        if not self.sentence and self.images < MIN_IMAGES_FOR_VERDICT:
            return f"not checked: {plural(self.images, 'labeled image')}, but {MIN_IMAGES_FOR_VERDICT} are needed"
        said = [self.sentence] if self.sentence else ["no other way is clearly better", *self.caveats]
        return f"checked on {plural(self.images, 'labeled image')}: {'; '.join(said)}"


class Search:
    """A search for the preprocessing with which a model is most accurate on the same images."""

    def __init__(self, deployable: Deployable, measure: Measure, read: Callable[[ModelSpec], Pixels | None]) -> None:
        self._deployable, self._measure, self._read = deployable, measure, read
        self._model = keras.Model(deployable.model.inputs[0], deployable.model.outputs[0])  # of a tensor, not of a list
        self._tried: list[Preprocessing] = []

    def run(self, asked: Preprocessing, pixels: Pixels, *, readings: bool) -> Finding:
        """Find a better preprocessing, with the class names as given and in the order that the answers suggest.

        Args:
            asked: the given preprocessing.
            pixels: the images read with it, uint8 (N, H, W, 3).
            readings: whether the photos can also be read with another resize, filter or orientation.
        """
        scores = self._scores(asked, pixels)
        own = np.arange(self._deployable.class_count)
        if len(scores) < FEWEST_ASKED:
            value = self._measure.value(self._measure.outcome(scores, own))
            return Finding(len(scores), value, value)
        other = self._measure.order_of(scores)
        found = [self._search(asked, pixels, scores, own, readings=readings)]
        if (other != own).any():  # wrong preprocessing, such as BGR for RGB, can look like exchanged names: try both
            found.append(self._search(asked, pixels, scores, other, readings=readings))
        best = max(found, key=lambda result: self._measure.value(result.outcome))
        plain = self._measure.outcome(scores, own)
        finding = self._finding(plain, asked, best)
        return finding if finding.sentence else replace(finding, caveats=_caveats(plain, readings=readings))

    def _search(
        self, asked: Preprocessing, pixels: Pixels, scores: Scores, order: Order, *, readings: bool
    ) -> "_Found":
        """Return the best candidate; during the search the class names have the order ``order``."""
        first = outcome = self._measure.outcome(scores, order)
        best, self._tried = asked, [asked]
        for _ in range(ROUNDS):
            others = [*best.ranges(), *(best.readings() if readings else ())]
            new = [
                candidate for place, candidate in enumerate(others) if candidate not in [*self._tried, *others[:place]]
            ]
            self._tried += new
            found = [(candidate, self._better(candidate, best, pixels, order, outcome)) for candidate in new]
            better = [(candidate, its) for candidate, its in found if its is not None]
            if not better:
                break
            best, outcome = max(better, key=lambda pair: self._measure.value(pair[1]))
            read = self._read(best.spec)
            pixels = pixels if read is None else read
        if best != asked and self._measure.is_better(outcome, first, len(self._tried)):
            (best, _), *ties = self._by_fit(self._indistinguishable(best, outcome, first, pixels, order), asked)
            scores = self._scores(best, pixels)
        else:
            best, ties = asked, []
        order = self._measure.order_of(scores)
        return _Found(best, self._measure.outcome(scores, order), order, tuple(ties))

    def _indistinguishable(
        self, best: Preprocessing, outcome: Outcome, first: Outcome, pixels: Pixels, order: Order
    ) -> list[tuple[Preprocessing, Outcome]]:
        """Return the best candidate, and other value ranges and channel orders that the images do not tell from it."""
        candidates = [best, *best.ranges()]
        others = [candidate for place, candidate in enumerate(candidates) if candidate not in candidates[:place]][1:]
        found = [(candidate, self._measure.outcome(self._scores(candidate, pixels), order)) for candidate in others]
        return [(best, outcome)] + [
            (candidate, its)
            for candidate, its in found
            if self._measure.is_better(its, first, len(self._tried)) and not self._measure.tells_apart(outcome, its)
        ]

    @staticmethod
    def _by_fit(
        indistinct: list[tuple[Preprocessing, Outcome]], asked: Preprocessing
    ) -> list[tuple[Preprocessing, Outcome]]:
        """Sort candidates: first the one nearest to ``asked`` of those with the least loss, then the others by loss."""
        least = min(outcome.loss for _, outcome in indistinct)
        fitting = [pair for pair in indistinct if pair[1].loss <= least + SAME_LOSS]
        chosen = min(fitting, key=lambda pair: len(pair[0].differs(asked)))
        return [chosen, *sorted((pair for pair in indistinct if pair is not chosen), key=lambda pair: pair[1].loss)]

    def _finding(self, plain: Outcome, asked: Preprocessing, found: "_Found") -> Finding:
        order, other = found.order, found.outcome
        count, renamed = len(plain.rows), bool((order != np.arange(len(order))).any())
        values = self._measure.value(plain), self._measure.value(other)
        if not (renamed or found.preprocessing != asked) or not self._measure.beats_guessing(other):
            return Finding(count, values[0], values[0])
        flags = found.preprocessing.flags(asked)
        changes = [flags] if flags else []
        changes += [describe(self._deployable.class_names, order)] if renamed else []
        sentence = self._measure.compared(plain, other, " and with ".join(changes)) + self._tied(found, asked)
        return Finding(count, *values, (*found.preprocessing.differs(asked), *([CLASSES] * renamed)), sentence)

    def _tied(self, found: "_Found", asked: Preprocessing) -> str:
        """Name at most ``MOST_TIES`` candidates that the images do not tell from the one found; empty without any.

        Not named are candidates that differ from ``asked`` in more properties, without being more accurate.
        """
        value, distance = self._measure.value(found.outcome), len(found.preprocessing.differs(asked))
        ties = [
            (candidate, outcome)
            for candidate, outcome in found.ties
            if self._measure.value(outcome) > value or len(candidate.differs(asked)) <= distance
        ][:MOST_TIES]
        if not ties:
            return ""
        listed = ", ".join(
            f"{self._measure.counted(outcome)} with {candidate.flags(asked)}" for candidate, outcome in ties
        )
        worse = all(outcome.loss > found.outcome.loss for _, outcome in ties)
        return f" ({listed}: the photos do not tell these apart{', but the probabilities fit worse' * worse})"

    def _better(
        self, candidate: Preprocessing, best: Preprocessing, pixels: Pixels, order: Order, outcome: Outcome
    ) -> Outcome | None:
        """Return a candidate's outcome; ``None`` if it is no better than that of ``best``, or gives the same pixels."""
        own = pixels if candidate.spec == best.spec else self._read(candidate.spec)
        if own is None or (own is not pixels and bool((own == pixels).all())):
            return None
        return self._measure.better(
            lambda chosen: self._scores(candidate, own[chosen]), order, outcome, len(self._tried)
        )

    def _scores(self, candidate: Preprocessing, pixels: Pixels) -> Scores:
        """Return the probabilities of pixels that are preprocessed so, float32 (N, C)."""
        answers = list[Scores]()
        for start in range(0, len(pixels), BATCH):  # not model.predict: tracing costs more than a few batches
            batch = candidate.scaling(pixels[start : start + BATCH])
            answers.append(np.asarray(self._model(batch, training=False)))
        scores = np.concatenate(answers)
        return softmax(scores) if self._deployable.output == "logits" else scores


@dataclass(frozen=True)
class _Found:
    """The best preprocessing of a search, its outcome and the order of the class names found with it.

    ``ties`` are others, with their outcomes, that the images do not tell from it.
    """

    preprocessing: Preprocessing
    outcome: Outcome
    order: Order
    ties: tuple[tuple[Preprocessing, Outcome], ...]


def _caveats(plain: Outcome, *, readings: bool) -> tuple[str, ...]:
    said, high = list[str](), share_interval(plain.share_correct, len(plain.rows)).high
    if plain.confidence > max(SATURATED, high):
        said.append(
            f"but the mean confidence is {plain.confidence:.1%} and only {plain.share_correct:.1%} of the answers are "
            "right: the value range may be wrong (--preset, --scale)"
        )
    if readings:
        said.append("photos rarely tell filters apart: docs/own-model.md has those of the usual loaders")
    return tuple(said)
