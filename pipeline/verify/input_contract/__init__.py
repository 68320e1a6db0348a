"""Was the model fed so in training? Labeled photos tell: fed as it was, it names them best.

A comparison with Keras cannot tell, for Keras is fed the same. So some photos are read in every plausible way, and
their labels judge. One respect is changed at a time, but range of values and order of channels together.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.data import photo_cache
from pipeline.data.class_names import class_folders
from pipeline.data.dataset import Dataset
from pipeline.data.scan import scan
from pipeline.documents.base import FEWEST_TO_TELL
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.classification import confusion_matrix, discordant
from pipeline.metrics.significance import beats_chance, mcnemar
from pipeline.verify.input_contract.class_order import describe, output_of_class
from pipeline.verify.input_contract.ways import Way
from runtime.spec import ModelSpec

__all__ = ["CLASSES", "Finding", "Way", "judge_arrays", "judge_photos"]

MAX_IMAGES, MIN_IMAGES = 300, 50
FEWEST_ASKED = 10
"""From fewer images nothing is concluded, whatever the test says."""
FULL_SIDE = 128
"""Up to this side the most images are asked; larger ones take longer, and fewer will do."""
SIGNIFICANCE = 0.01
ROUNDS, BATCH = 3, 50
CLASSES = "classes"
"""What a finding calls the order of the class names, beside ``pipeline.documents.manifest.FEEDING``."""

Pixels = NDArray[np.uint8]
Right = NDArray[np.bool_]
Answers = NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """What labeled images say of a way of feeding.

    Attributes:
        images: how many there were.
        accuracy: share (0-1) that the model names rightly as it is fed.
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
    """Judge by photos in class folders; ``None`` where none of them can be read.

    Args:
        deployable: the model as it is going to be fed.
        folder: photos in folders that carry the names of its classes.
        spec: how the photos are going to be read.
    """
    places = class_folders(deployable.class_names)
    listed = scan(folder, known=deployable.class_names).files
    files = [listed[place] for place in _evenly(len(listed), spec)]
    decoded = photo_cache.decode(folder, files, spec)
    files = [file for file in files if file.path in decoded.rows]
    if not files:
        return None

    def read(other: ModelSpec) -> Pixels | None:
        squares = photo_cache.decode(folder, files, other)
        rows = [squares.rows[file.path][0] for file in files if file.path in squares.rows]
        return squares.squares[rows] if len(rows) == len(files) else None

    labels = np.array([places[file.class_name] for file in files])
    pixels = decoded.squares[[decoded.rows[file.path][0] for file in files]]
    return _Judge(deployable, labels, read).judge(Way(deployable.scaling, spec), pixels, readings=True)


def judge_arrays(deployable: Deployable, images: Dataset, spec: ModelSpec) -> Finding:
    """Judge by images that are pixels already: their range and order alone, and the order of the class names."""
    chosen = _evenly(len(images), spec)
    pixels = images.pixels[chosen]
    judge = _Judge(deployable, images.labels[chosen].astype(np.int64), lambda _: pixels)
    return judge.judge(Way(deployable.scaling, spec), pixels, readings=False)


def _evenly(count: int, spec: ModelSpec) -> list[int]:
    """The places of as many images as are asked, evenly out of all."""
    most = min(max(MAX_IMAGES * FULL_SIDE**2 // (spec.side * (spec.width or spec.side)), MIN_IMAGES), MAX_IMAGES)
    return list(range(0, count, max(math.ceil(count / most), 1)))


class _Judge:
    """A model that is asked about the same images in one way after the other.

    What it is asked is bounded by what could matter: first the images that it names wrongly so far, and the others only
    where it names enough of those rightly.
    """

    def __init__(self, deployable: Deployable, labels: Answers, read: Callable[[ModelSpec], Pixels | None]) -> None:
        self._deployable, self._labels, self._read = deployable, labels, read
        self._model = keras.Model(deployable.model.inputs[0], deployable.model.outputs[0])  # of a tensor, not of a list
        self._expected = labels
        self._tried: list[Way] = []

    def judge(self, asked: Way, pixels: Pixels, *, readings: bool) -> Finding:
        """Look for a better way, with the class names in the order that turns out.

        Args:
            asked: how the model is going to be fed.
            pixels: of the images in that way, uint8 (N, H, W, 3).
            readings: whether photos can be read in other ways.
        """
        answers = self._answers(asked, pixels)
        if len(answers) < FEWEST_ASKED:
            accuracy = float((answers == self._labels).mean())
            return Finding(len(answers), accuracy, accuracy)
        own, other = np.arange(self._deployable.class_count), self._order_of(answers)
        found = [self._search(asked, pixels, answers, own, readings=readings)]
        if (other != own).any():  # or does another way look like other names, as red and blue exchanged?
            found.append(self._search(asked, pixels, answers, other, readings=readings))
        best, right, order = max(found, key=lambda result: result[1].sum())
        return self._finding(answers == self._labels, right, asked, best, order)

    def _search(
        self, asked: Way, pixels: Pixels, answers: Answers, order: Answers, *, readings: bool
    ) -> tuple[Way, Right, Answers]:
        """The best way, what is right in it, and the order of the names in it; ``order`` holds until then."""
        self._expected = order[self._labels]
        first = right = answers == self._expected
        best, self._tried = asked, [asked]
        for _ in range(ROUNDS):
            others = [*best.ranges(), *(best.readings() if readings else ())]
            new = [way for place, way in enumerate(others) if way not in [*self._tried, *others[:place]]]
            self._tried += new
            scored = [(way, score) for way in new if (score := self._score(way, best, pixels, right)) is not None]
            if not scored:
                break
            best, right = max(scored, key=lambda pair: pair[1].sum())
            read = self._read(best.spec)
            pixels = pixels if read is None else read
        if best != asked and self._is_better(right, first):
            answers = self._answers(best, pixels)
        else:
            best = asked
        order = self._order_of(answers)
        return best, answers == order[self._labels], order

    def _finding(self, plain: Right, right: Right, asked: Way, best: Way, order: Answers) -> Finding:
        count, renamed = len(plain), bool((order != np.arange(len(order))).any())
        accuracies = float(plain.mean()), float(right.mean())
        if not (renamed or best != asked) or not beats_chance(accuracies[1], count, len(order)):
            return Finding(count, accuracies[0], accuracies[0])
        flags = best.flags(asked)
        ways = [flags] if flags else []
        ways += [describe(self._deployable.class_names, order)] if renamed else []
        sentence = (
            f"of {count} labeled images the Keras model names {plain.sum()} rightly ({accuracies[0]:.1%}) as it is "
            f"fed, and {right.sum()} ({accuracies[1]:.1%}) with {' and with '.join(ways)}"
        )
        return Finding(count, *accuracies, (*best.differs(asked), *([CLASSES] * renamed)), sentence)

    def _order_of(self, answers: Answers) -> Answers:
        return output_of_class(confusion_matrix(answers, self._labels, self._deployable.class_count), SIGNIFICANCE)

    def _score(self, way: Way, best: Way, pixels: Pixels, right: Right) -> Right | None:
        """What is right in a way; ``None`` where it is no better than ``best``, or reads the same pixels."""
        own = pixels if way.spec == best.spec else self._read(way.spec)
        if own is None or (own is not pixels and bool((own == pixels).all())):
            return None
        expected, found = self._expected, right.copy()
        found[~right] = self._answers(way, own[~right]) == expected[~right]
        if not self._is_better(found, right):  # not even if it named all others rightly too
            return None
        found[right] = self._answers(way, own[right]) == expected[right]
        return found if self._is_better(found, right) else None

    def _is_better(self, challenger: Right, best: Right) -> bool:
        gained, lost = discordant(challenger, best)
        return gained > lost and len(self._tried) * mcnemar(lost, gained) < SIGNIFICANCE

    def _answers(self, way: Way, pixels: Pixels) -> Answers:
        if not len(pixels):
            return np.zeros(0, np.int64)
        answers = list[Answers]()
        for start in range(0, len(pixels), BATCH):  # called, not predicted: a few batches are not worth a trace
            batch = way.scaling(pixels[start : start + BATCH])
            answers.append(np.asarray(self._model(batch, training=False)).argmax(axis=1))
        return np.concatenate(answers)
