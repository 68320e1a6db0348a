"""Find how a model was fed in training: it names labeled photos best if it is fed in the same way.

A comparison with Keras cannot tell, for Keras is fed the same. So some photos are read in every plausible way, and
their labels judge. One respect is changed at a time, but range of values and order of channels together.
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
"""The least number of images from which anything is concluded."""
FULL_SIDE = 128
"""Up to this side the most images are asked; larger ones take longer, and fewer will do."""
ROUNDS, BATCH = 3, 50
CLASSES = "classes"
"""What a finding calls the order of the class names, beside ``pipeline.documents.manifest.FEEDING``."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Finding:
    """What labeled images say of a way of feeding.

    Attributes:
        images: how many there were.
        accuracy: share (0-1) that the model names rightly as it is fed; macro F1 of a multi-label model.
        better: the same where it is fed in the way that ``sentence`` names.
        differs: in what that way differs; empty where no other is better beyond chance.
        sentence: which flags to give and both accuracies; empty likewise.
    """

    images: int
    accuracy: float
    better: float
    differs: tuple[str, ...] = ()
    sentence: str = ""

    def contradicts(self, asked: Collection[str]) -> bool:
        """Whether another way is better in a respect of which nothing was asked."""
        return not set(self.differs) <= set(asked)

    @property
    def checked(self) -> str:
        """For the input contract."""
        if not self.sentence and self.images < FEWEST_TO_TELL:
            return f"not checked: {self.images} labeled images are too few, {FEWEST_TO_TELL} are needed"
        verdict = self.sentence or "no other way is better"
        return f"checked on {self.images} labeled images: {verdict}"


def judge_photos(deployable: Deployable, folder: Path, spec: ModelSpec) -> Finding | None:
    """Judge by photos in class folders, or of several labels by their table; ``None`` where none can be read.

    Args:
        deployable: the model as it is going to be fed.
        folder: photos in folders that carry the names of its classes, or with a table of its labels.
        spec: how the photos are going to be read.
    """
    listed, measured_by = _labeled(deployable, folder)
    files = [listed[place] for place in _evenly(len(listed), spec)]
    decoded = photo_cache.decode(folder, files, spec)
    files = [file for file in files if file.path in decoded.rows]
    if not files:
        return None

    def read(other: ModelSpec) -> Pixels | None:
        squares = photo_cache.decode(folder, files, other)
        rows = [squares.rows[file.path][0] for file in files if file.path in squares.rows]
        return squares.squares[rows] if len(rows) == len(files) else None

    pixels = decoded.squares[[decoded.rows[file.path][0] for file in files]]
    judge = _Judge(deployable, measured_by(files), read)
    return judge.judge(Way(deployable.scaling, spec), pixels, readings=True)


def judge_arrays(deployable: Deployable, images: Dataset, spec: ModelSpec) -> Finding | None:
    """Judge by images that are pixels already: their range and order alone, and the order of the class names.

    ``None`` where nobody says what they show.
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
    """The photos that say what they show, and how they judge."""
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
    """The places of as many images as are asked, evenly out of all."""
    most = min(max(MAX_IMAGES * FULL_SIDE**2 // (spec.side * (spec.width or spec.side)), MIN_IMAGES), MAX_IMAGES)
    return list(range(0, count, max(math.ceil(count / most), 1)))


class _Judge:
    """A model that is asked about the same images in one way after the other."""

    def __init__(self, deployable: Deployable, measure: Measure, read: Callable[[ModelSpec], Pixels | None]) -> None:
        self._deployable, self._measure, self._read = deployable, measure, read
        self._model = keras.Model(deployable.model.inputs[0], deployable.model.outputs[0])  # of a tensor, not of a list
        self._tried: list[Way] = []

    def judge(self, asked: Way, pixels: Pixels, *, readings: bool) -> Finding:
        """Look for a better way, with the class names in the order that turns out.

        Args:
            asked: how the model is going to be fed.
            pixels: of the images in that way, uint8 (N, H, W, 3).
            readings: whether photos can be read in other ways.
        """
        scores = self._scores(asked, pixels)
        own = np.arange(self._deployable.class_count)
        if len(scores) < FEWEST_ASKED:
            value = self._measure.value(self._measure.outcome(scores, own))
            return Finding(len(scores), value, value)
        other = self._measure.order_of(scores)
        found = [self._search(asked, pixels, scores, own, readings=readings)]
        if (other != own).any():  # or does another way look like other names, as red and blue exchanged?
            found.append(self._search(asked, pixels, scores, other, readings=readings))
        best, outcome, order = max(found, key=lambda result: self._measure.value(result[1]))
        return self._finding(self._measure.outcome(scores, own), outcome, asked, best, order)

    def _search(
        self, asked: Way, pixels: Pixels, scores: Scores, order: Order, *, readings: bool
    ) -> tuple[Way, Outcome, Order]:
        """The best way, its outcome, and the order of the names in it; ``order`` holds until then."""
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
        """The outcome in a way; ``None`` where it is no better than that of ``best``, or reads the same pixels."""
        own = pixels if way.spec == best.spec else self._read(way.spec)
        if own is None or (own is not pixels and bool((own == pixels).all())):
            return None
        return self._measure.better(lambda chosen: self._scores(way, own[chosen]), order, outcome, len(self._tried))

    def _scores(self, way: Way, pixels: Pixels) -> Scores:
        answers = list[Scores]()
        for start in range(0, len(pixels), BATCH):  # called, not predicted: a few batches are not worth a trace
            batch = way.scaling(pixels[start : start + BATCH])
            answers.append(np.asarray(self._model(batch, training=False)))
        return np.concatenate(answers)
