"""Parity of a multi-label model: agreement of each label's decisions, and macro F1 if the images are labeled."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.verify import LabelRow, LabelScores
from pipeline.export.quantize.label_acceptance import disagreeing, loses
from pipeline.formats import Tolerance
from pipeline.metrics.multi_label import (
    MultiHot,
    average_precisions,
    bootstrap_p_value,
    decisions,
    f1_scores,
    label_agreement,
    macro_f1,
    macro_f1_interval,
    mean_average_precision,
    mean_average_precision_interval,
)

Probabilities = NDArray[np.float32]


def label_scores(
    probabilities: Probabilities, multi_hot: MultiHot, thresholds: Sequence[float] | NDArray[np.float64]
) -> LabelScores | None:
    """Score probabilities, float32 (N, C), with multi-hot labels, bool (N, C); ``None`` if a probability is not finite.

    ``thresholds`` are those of the labels, (C,), or of each image's labels, (N, C).
    """
    if not np.isfinite(probabilities).all():
        return None
    decided = decisions(probabilities, thresholds)
    columns = multi_hot.sum(axis=0), f1_scores(decided, multi_hot), average_precisions(probabilities, multi_hot)
    return LabelScores(
        macro_f1=macro_f1(decided, multi_hot),
        macro_f1_interval=macro_f1_interval(decided, multi_hot),
        mean_average_precision=mean_average_precision(probabilities, multi_hot),
        mean_average_precision_interval=mean_average_precision_interval(probabilities, multi_hot),
        rows=tuple(
            LabelRow(images=int(images), f1=float(f1), average_precision=float(precision))
            for images, f1, precision in zip(*columns, strict=True)
        ),
    )


class LabelParity:
    """A comparison of a file's decisions on each label with Keras's.

    Args:
        expected: Keras's probabilities, float32 (N, C).
        got: the file's probabilities, float32 (N, C).
        test: the N images.
        thresholds: for each of the C labels, the probability from which on it is set.
    """

    def __init__(self, expected: Probabilities, got: Probabilities, test: Dataset, thresholds: Sequence[float]) -> None:
        self._keras, self._file, self._test = decisions(expected, thresholds), decisions(got, thresholds), test

    @property
    def figures(self) -> dict[str, Any]:
        """Agreement, p-value and drop of macro F1, as fields of ``Measured``."""
        return {
            "agreement": float(np.mean(self.by_label)),
            "label_agreement": self.by_label,
            "p_value": self.chance,
            "accuracy_drop_points": self.lost_points,
        }

    @cached_property
    def by_label(self) -> tuple[float, ...]:
        """The share (0-1) of images, for each label, on which both decide the same."""
        return tuple(label_agreement(self._keras, self._file).tolist())

    @cached_property
    def chance(self) -> float:
        """P-value (0-1) of a macro F1 that is lower than Keras's; 1 if the images have no labels."""
        multi_hot = self._test.multi_hot
        return 1.0 if multi_hot is None else bootstrap_p_value(self._keras, self._file, multi_hot)

    @cached_property
    def lost_points(self) -> float | None:
        """Percentage points of macro F1 that the file loses; ``None`` if the images have no labels."""
        multi_hot = self._test.multi_hot
        return None if multi_hot is None else 100 * (macro_f1(self._keras, multi_hot) - macro_f1(self._file, multi_hot))

    def violations(self, limit: Tolerance) -> list[str]:
        """List the limits that are violated, as texts."""
        agreeing, names = self.by_label, self._test.class_names
        broken = [
            f"{names[place]}: agreement {agreeing[place]:.2%} < {limit.min_agreement:.0%}"
            for place in disagreeing(self._keras, self._file, limit.min_agreement)
        ]
        lost = self.lost_points
        if lost is not None and loses(lost, limit.max_accuracy_drop, self.chance):
            broken.append(f"macro F1 drop {lost:.2f} points > {limit.max_accuracy_drop:.2f}")
        return broken
