"""The validation images, with Keras's answers, on which the search makes every choice."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.export.quantize.acceptance import AcceptanceCriteria, Judgment, judge, judge_agreement
from pipeline.export.quantize.label_acceptance import judge_labels
from pipeline.metrics.classification import correct
from pipeline.metrics.multi_label import decisions


@dataclass(frozen=True)
class Validation:
    """The validation images, Keras's answers to them, and the acceptance criteria.

    If the images have no labels, Keras's classes are used as labels, and agreement is used as accuracy.

    Attributes:
        images: N images, used neither in training nor for calibration.
        expected: Keras's probabilities, float32 (N, C).
        criteria: the acceptance criteria.
        thresholds: of a multi-label model, the probability (0-1) at which an image gets each label.
    """

    images: Dataset
    expected: NDArray[np.float32]
    criteria: AcceptanceCriteria
    thresholds: tuple[float, ...] | None = None

    def evenly(self, count: int) -> "Validation":
        """Take ``count`` evenly spaced images."""
        places = np.arange(count) * len(self.images) // count
        return replace(self, images=self.images.take(places), expected=self.expected[places])

    def judge(self, got: NDArray[np.float32]) -> Judgment:
        """Compare a candidate's probabilities, float32 (N, C), with Keras's."""
        if self.thresholds is not None:
            names, multi_hot = self.images.class_names, self.images.multi_hot
            return judge_labels(self.expected, got, multi_hot, self.thresholds, names, self.criteria)
        if not self.images.labeled:
            return judge_agreement(self.expected, got, self.criteria)
        return judge(self.expected, got, self.images.labels, self.images.class_names, self.criteria)

    def is_correct(self, got: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return whether each image is classified correctly, bool (N,); with several labels: whether all are right."""
        if self.thresholds is not None:
            multi_hot = self.images.multi_hot
            truth = decisions(self.expected, self.thresholds) if multi_hot is None else multi_hot
            is_correct: NDArray[np.bool_] = (decisions(got, self.thresholds) == truth).all(axis=1)
            return is_correct
        return correct(got, self.images.labels if self.images.labeled else self.expected.argmax(axis=1))
