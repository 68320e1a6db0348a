"""Parity of a single-label model: agreement and accuracy of the predicted classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.export.quantize.acceptance import breaks_bound, disagrees
from pipeline.formats import Tolerance
from pipeline.metrics.classification import agreement, correct, discordant
from pipeline.metrics.significance import mcnemar

Probabilities = NDArray[np.float32]


class ClassParity:
    """A comparison of a file's predicted classes with Keras's.

    Args:
        expected: Keras's probabilities, float32 (N, C).
        got: the file's probabilities, float32 (N, C).
        test: the N images.
    """

    def __init__(self, expected: Probabilities, got: Probabilities, test: Dataset) -> None:
        self._expected, self._got, self._test = expected, got, test
        self._only_keras = self._only_file = 0
        if test.labeled:
            rights = (correct(answers, test.labels) for answers in (expected, got))
            self._only_keras, self._only_file = discordant(*rights)

    @property
    def figures(self) -> dict[str, Any]:
        """Agreement, p-value and accuracy drop, as fields of ``Measured``."""
        return {
            "agreement": agreement(self._expected, self._got),
            "p_value": mcnemar(self._only_keras, self._only_file),
            "accuracy_drop_points": self._lost_points if self._test.labeled else None,
        }

    def violations(self, limit: Tolerance) -> list[str]:
        """List the limits that are violated, as texts."""
        broken = []
        if disagrees(self._expected, self._got, limit.min_agreement):
            share = agreement(self._expected, self._got)
            broken.append(f"agreement {share:.2%} < {limit.min_agreement:.0%}")
        if breaks_bound(limit.max_accuracy_drop, len(self._test), self._only_keras, self._only_file):
            broken.append(f"accuracy drop {self._lost_points:.2f} points > {limit.max_accuracy_drop:.2f}")
        return broken

    @property
    def _lost_points(self) -> float:
        return 100 * (self._only_keras - self._only_file) / len(self._test)
