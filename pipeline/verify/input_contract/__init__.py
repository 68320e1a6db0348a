"""Find the preprocessing with which a model was trained: with it, the model is most accurate on labeled photos.

A comparison of an exported file with Keras cannot show wrong preprocessing, because both get the same input. So some
labeled photos are read with every plausible preprocessing (``Way``), and the accuracies are compared. Of ways that the
photos do not tell apart, the one whose probabilities fit the labels best is chosen: with too large a value range,
nearly all of them are 0 or 1. The ways are searched one property at a time; value range and channel order count as one
property.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.data import label_table, photo_cache
from pipeline.data.class_names import class_folders
from pipeline.data.dataset import Dataset, with_marks
from pipeline.data.scan import PhotoFile, scan
from pipeline.documents.base import FEWEST_TO_TELL
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import softmax
from pipeline.metrics.significance import share_interval
from pipeline.verify.input_contract.class_order import describe
from pipeline.verify.input_contract.measure import ByClass, ByLabel, Measure, Order, Outcome, Scores
from pipeline.verify.input_contract.ways import Way
from runtime.spec import ModelSpec

__all__ = ["CLASSES", "Finding", "Way", "judge_arrays", "judge_photos"]

MAX_IMAGES, MIN_IMAGES = 300, 50
MOST_TIES = 2
"""At most this many other ways are named that the photos do not tell from the best one."""
SAME_LOSS = 0.03
"""Losses that differ by less are taken for equal."""
FEWEST_ASKED = 10
"""On fewer images nothing is concluded."""
FULL_SIDE = 128
"""Up to this side ``MAX_IMAGES`` are used; larger images take longer, so fewer are used."""
ROUNDS, BATCH = 3, 50
SATURATED = 0.99
"""A mean confidence above this is suspicious if fewer answers are right."""
CLASSES = "classes"
"""The name of the class order in ``Finding.differs``, beside the names in ``pipeline.documents.manifest.FEEDING``."""

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
        caveats: what the check does not tell, or makes one doubt, if ``sentence`` is empty.
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
        if not self.sentence and self.images < FEWEST_TO_TELL:
            return f"not checked: {self.images} labeled images are too few, {FEWEST_TO_TELL} are needed"
        said = [self.sentence] if self.sentence else ["no other way is clearly better", *self.caveats]
        return f"checked on {self.images} labeled images: {'; '.join(said)}"


def judge_photos(deployable: Deployable, folder: Path, spec: ModelSpec) -> Finding | None:
    """Check the preprocessing with labeled photos; ``None`` if no photo can be read.

    Args:
        deployable: the model with its scaling.
        folder: photos in a folder for each class, or with a table of labels for a multi-label model.
        spec: how the photos are read.
    """
    listed, measured_by = _labeled(deployable, folder)
    files = [listed[place] for place in _evenly(len(listed), spec)]
    decoded = photo_cache.decode(folder, files, spec)
    files = [file for file in files if file.path in decoded.rows]
    if not files:
        return None

    def read(other: ModelSpec) -> Pixels | None:
        again = photo_cache.decode(folder, files, other)
        rows = [again.rows[file.path] for file in files if file.path in again.rows]
        return again.pixels[rows] if len(rows) == len(files) else None

    pixels = decoded.pixels[[decoded.rows[file.path] for file in files]]
    judge = _Judge(deployable, measured_by(files), read)
    return judge.judge(Way(deployable.scaling, spec), pixels, readings=True)


def judge_arrays(deployable: Deployable, images: Dataset, spec: ModelSpec) -> Finding | None:
    """Check value range, channel order and class order with labeled images that have no files.

    Resize, filter and orientation cannot be checked without files. Returns ``None`` if the images have no labels.
    """
    images = images.take(np.array(_evenly(len(images), spec)))
    if deployable.multi_label:
        images = with_marks(images)
    if images.marks is not None:
        measure: Measure = ByLabel(images.marks)
    elif images.labeled:
        measure = ByClass(images.labels.astype(np.int64), deployable.class_count)
    else:
        return None
    judge = _Judge(deployable, measure, lambda _: images.pixels)
    return judge.judge(Way(deployable.scaling, spec), images.pixels, readings=False)


def _labeled(
    deployable: Deployable, folder: Path
) -> tuple[Sequence[PhotoFile], Callable[[Sequence[PhotoFile]], Measure]]:
    """Return the labeled photos of a folder, and a function that builds the measure for some of them."""
    names = deployable.class_names
    if deployable.multi_label and label_table.has_table(folder):
        marks = label_table.read_table(folder / label_table.TABLE, names)
        listed = label_table.photo_files(folder, marks)
        return listed, lambda files: ByLabel(np.stack([marks[file.path] for file in files]))
    places = class_folders(names)

    def measure(files: Sequence[PhotoFile]) -> Measure:
        labels = np.array([places[file.class_name] for file in files])
        if deployable.multi_label:
            return ByLabel(labels[:, np.newaxis] == np.arange(len(names)))
        return ByClass(labels, len(names))

    return scan(folder, known=names).files, measure


def _evenly(count: int, spec: ModelSpec) -> list[int]:
    """Return the indices of the images to use, evenly spaced among ``count``."""
    most = min(max(MAX_IMAGES * FULL_SIDE**2 // (spec.side * (spec.width or spec.side)), MIN_IMAGES), MAX_IMAGES)
    return list(range(0, count, max(math.ceil(count / most), 1)))


class _Judge:
    """A comparison of the results of a model on the same images with one preprocessing after the other."""

    def __init__(self, deployable: Deployable, measure: Measure, read: Callable[[ModelSpec], Pixels | None]) -> None:
        self._deployable, self._measure, self._read = deployable, measure, read
        self._model = keras.Model(deployable.model.inputs[0], deployable.model.outputs[0])  # of a tensor, not of a list
        self._tried: list[Way] = []

    def judge(self, asked: Way, pixels: Pixels, *, readings: bool) -> Finding:
        """Search for a better preprocessing, with the class names as given and in the order that the answers suggest.

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

    def _search(self, asked: Way, pixels: Pixels, scores: Scores, order: Order, *, readings: bool) -> "_Found":
        """Return the best way; during the search the class names have the order ``order``."""
        first = outcome = self._measure.outcome(scores, order)
        best, self._tried = asked, [asked]
        for _ in range(ROUNDS):
            others = [*best.ranges(), *(best.readings() if readings else ())]
            new = [way for place, way in enumerate(others) if way not in [*self._tried, *others[:place]]]
            self._tried += new
            found = [(way, self._better(way, best, pixels, order, outcome)) for way in new]
            better = [(way, its) for way, its in found if its is not None]
            if not better:
                break
            best, outcome = max(better, key=lambda pair: self._measure.value(pair[1]))
            read = self._read(best.spec)
            pixels = pixels if read is None else read
        if best != asked and self._measure.is_better(outcome, first, len(self._tried)):
            (best, _), *ties = self._by_fit(self._untold(best, outcome, first, pixels, order), asked)
            scores = self._scores(best, pixels)
        else:
            best, ties = asked, []
        order = self._measure.order_of(scores)
        return _Found(best, self._measure.outcome(scores, order), order, tuple(ties))

    def _untold(
        self, best: Way, outcome: Outcome, first: Outcome, pixels: Pixels, order: Order
    ) -> list[tuple[Way, Outcome]]:
        """Return the best way, and the other value ranges and channel orders that the images do not tell from it."""
        ways = [best, *best.ranges()]
        others = [way for place, way in enumerate(ways) if way not in ways[:place]][1:]
        found = [(way, self._measure.outcome(self._scores(way, pixels), order)) for way in others]
        return [(best, outcome)] + [
            (way, its)
            for way, its in found
            if self._measure.is_better(its, first, len(self._tried)) and not self._measure.tells_apart(outcome, its)
        ]

    @staticmethod
    def _by_fit(untold: list[tuple[Way, Outcome]], asked: Way) -> list[tuple[Way, Outcome]]:
        """Sort ways: first the one nearest to ``asked`` of those with the least loss, then the others by their loss."""
        least = min(outcome.loss for _, outcome in untold)
        fitting = [pair for pair in untold if pair[1].loss <= least + SAME_LOSS]
        chosen = min(fitting, key=lambda pair: len(pair[0].differs(asked)))
        return [chosen, *sorted((pair for pair in untold if pair is not chosen), key=lambda pair: pair[1].loss)]

    def _finding(self, plain: Outcome, asked: Way, found: "_Found") -> Finding:
        order, other = found.order, found.outcome
        count, renamed = len(plain.rows), bool((order != np.arange(len(order))).any())
        values = self._measure.value(plain), self._measure.value(other)
        if not (renamed or found.way != asked) or not self._measure.beats_guessing(other):
            return Finding(count, values[0], values[0])
        flags = found.way.flags(asked)
        ways = [flags] if flags else []
        ways += [describe(self._deployable.class_names, order)] if renamed else []
        sentence = self._measure.compared(plain, other, " and with ".join(ways)) + self._tied(found, asked)
        return Finding(count, *values, (*found.way.differs(asked), *([CLASSES] * renamed)), sentence)

    def _tied(self, found: "_Found", asked: Way) -> str:
        """Name at most ``MOST_TIES`` ways that the images do not tell from the one found; empty if there are none.

        Not named are ways that differ from ``asked`` in more properties, without being more accurate.
        """
        value, distance = self._measure.value(found.outcome), len(found.way.differs(asked))
        ties = [
            (way, outcome)
            for way, outcome in found.ties
            if self._measure.value(outcome) > value or len(way.differs(asked)) <= distance
        ][:MOST_TIES]
        if not ties:
            return ""
        listed = ", ".join(f"{self._measure.counted(outcome)} with {way.flags(asked)}" for way, outcome in ties)
        worse = all(outcome.loss > found.outcome.loss for _, outcome in ties)
        return f" ({listed}: the photos do not tell these apart{', but the probabilities fit worse' * worse})"

    def _better(self, way: Way, best: Way, pixels: Pixels, order: Order, outcome: Outcome) -> Outcome | None:
        """Return the outcome of a way; ``None`` if it is no better than that of ``best``, or gives the same pixels."""
        own = pixels if way.spec == best.spec else self._read(way.spec)
        if own is None or (own is not pixels and bool((own == pixels).all())):
            return None
        return self._measure.better(lambda chosen: self._scores(way, own[chosen]), order, outcome, len(self._tried))

    def _scores(self, way: Way, pixels: Pixels) -> Scores:
        """Return the probabilities of pixels that are fed in some way, float32 (N, C)."""
        answers = list[Scores]()
        for start in range(0, len(pixels), BATCH):  # not model.predict: tracing costs more than a few batches
            batch = way.scaling(pixels[start : start + BATCH])
            answers.append(np.asarray(self._model(batch, training=False)))
        scores = np.concatenate(answers)
        return softmax(scores) if self._deployable.output == "logits" else scores


@dataclass(frozen=True)
class _Found:
    """The best way of a search, its outcome and the order of the class names found with it.

    ``ties`` are other ways, with their outcomes, that the images do not tell from it.
    """

    way: Way
    outcome: Outcome
    order: Order
    ties: tuple[tuple[Way, Outcome], ...]


def _caveats(plain: Outcome, *, readings: bool) -> tuple[str, ...]:
    said, high = list[str](), share_interval(plain.right, len(plain.rows)).high
    if plain.confidence > max(SATURATED, high):
        said.append(
            f"but the mean confidence is {plain.confidence:.1%} and only {plain.right:.1%} of the answers are right: "
            "the value range may be wrong (--preset, --scale)"
        )
    if readings:
        said.append("photos rarely tell filters apart: docs/own-model.md has those of the usual loaders")
    return tuple(said)
