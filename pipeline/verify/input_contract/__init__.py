"""Find the preprocessing with which a model was trained: with it, the model is most accurate on labeled photos.

A comparison of an exported file with Keras cannot show wrong preprocessing, because both get the same input. So some
labeled photos are read with every plausible preprocessing (``Way``), and the accuracies are compared. The ways are
searched one property at a time; value range and channel order count as one property.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
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
from pipeline.verify.input_contract.class_order import describe
from pipeline.verify.input_contract.measure import ByClass, ByLabel, Measure, Order, Outcome, Scores
from pipeline.verify.input_contract.ways import Way
from runtime.spec import ModelSpec

__all__ = ["CLASSES", "Finding", "Way", "judge_arrays", "judge_photos"]

MAX_IMAGES, MIN_IMAGES = 300, 50
FEWEST_ASKED = 10
"""On fewer images nothing is concluded."""
FULL_SIDE = 128
"""Up to this side ``MAX_IMAGES`` are used; larger images take longer, so fewer are used."""
ROUNDS, BATCH = 3, 50
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
    """

    images: int
    accuracy: float
    better: float
    differs: tuple[str, ...] = ()
    sentence: str = ""

    def contradicts(self, asked: Collection[str]) -> bool:
        """Return whether the better preprocessing differs in a property that is not in ``asked``."""
        return not set(self.differs) <= set(asked)

    @property
    def checked(self) -> str:
        """The result as a text for the input contract."""
        if not self.sentence and self.images < FEWEST_TO_TELL:
            return f"not checked: {self.images} labeled images are too few, {FEWEST_TO_TELL} are needed"
        verdict = self.sentence or "no other way is better"
        return f"checked on {self.images} labeled images: {verdict}"


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
        squares = photo_cache.decode(folder, files, other)
        rows = [squares.rows[file.path] for file in files if file.path in squares.rows]
        return squares.squares[rows] if len(rows) == len(files) else None

    pixels = decoded.squares[[decoded.rows[file.path] for file in files]]
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
    """Runs a model on the same images with one preprocessing after the other, and compares the results."""

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
        best, outcome, order = max(found, key=lambda result: self._measure.value(result[1]))
        return self._finding(self._measure.outcome(scores, own), outcome, asked, best, order)

    def _search(
        self, asked: Way, pixels: Pixels, scores: Scores, order: Order, *, readings: bool
    ) -> tuple[Way, Outcome, Order]:
        """Return the best way, its outcome, and the order of the class names found with it.

        During the search the class names have the order ``order``.
        """
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
            scores = self._scores(best, pixels)
        else:
            best = asked
        order = self._measure.order_of(scores)
        return best, self._measure.outcome(scores, order), order

    def _finding(self, plain: Outcome, other: Outcome, asked: Way, best: Way, order: Order) -> Finding:
        count, renamed = len(plain), bool((order != np.arange(len(order))).any())
        values = self._measure.value(plain), self._measure.value(other)
        if not (renamed or best != asked) or not self._measure.beats_guessing(other):
            return Finding(count, values[0], values[0])
        flags = best.flags(asked)
        ways = [flags] if flags else []
        ways += [describe(self._deployable.class_names, order)] if renamed else []
        sentence = self._measure.compared(plain, other, " and with ".join(ways))
        return Finding(count, *values, (*best.differs(asked), *([CLASSES] * renamed)), sentence)

    def _better(self, way: Way, best: Way, pixels: Pixels, order: Order, outcome: Outcome) -> Outcome | None:
        """Return the outcome of a way; ``None`` if it is no better than that of ``best``, or gives the same pixels."""
        own = pixels if way.spec == best.spec else self._read(way.spec)
        if own is None or (own is not pixels and bool((own == pixels).all())):
            return None
        return self._measure.better(lambda chosen: self._scores(way, own[chosen]), order, outcome, len(self._tried))

    def _scores(self, way: Way, pixels: Pixels) -> Scores:
        answers = list[Scores]()
        for start in range(0, len(pixels), BATCH):  # not model.predict: tracing costs more than a few batches
            batch = way.scaling(pixels[start : start + BATCH])
            answers.append(np.asarray(self._model(batch, training=False)))
        return np.concatenate(answers)
