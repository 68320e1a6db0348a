"""Selective classification: the error rate if only the most confident answers count.

Source: Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", 2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from pipeline.metrics.significance import CONFIDENCE

Confidence = NDArray[np.floating[Any]]
Correct = NDArray[np.bool_]


@dataclass(frozen=True)
class RiskCoverage:
    """The risk-coverage curve, with a point for every confidence that occurs, from high to low.

    Attributes:
        threshold: the confidence (0-1) from which on an answer counts, (K,).
        kept: number of answers that count, (K,).
        errors: number of these that are wrong, (K,).
        area: area under the curve of risk against coverage (AURC): the mean error rate over all coverages, 0-1.
    """

    threshold: NDArray[np.float64]
    kept: NDArray[np.int64]
    errors: NDArray[np.int64]
    area: float

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share (0-1) of all answers that count, (K,)."""
        coverage: NDArray[np.float64] = self.kept / self.kept[-1]
        return coverage

    @property
    def risk(self) -> NDArray[np.float64]:
        """Share (0-1) of wrong answers among those that count, (K,)."""
        risk: NDArray[np.float64] = self.errors / self.kept
        return risk


def risk_coverage(confidence: Confidence, is_correct: Correct) -> RiskCoverage:
    """Compute the curve from the confidence of each answer, (N,), and whether it is correct, (N,)."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order].astype(np.float64)
    last = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True))  # equal confidences count together or not at all
    kept = last + 1
    errors = np.cumsum(~is_correct[order])[last].astype(np.int64)
    area = float(np.average(errors / kept, weights=np.diff(kept, prepend=0)))
    return RiskCoverage(ranked[last], kept, errors, area)


POINTS = 100
"""Number of points of a curve in a document."""


def risk_coverage_entry(curve: RiskCoverage, points: int = POINTS) -> dict[str, Any]:
    """Return points of the curve at evenly spaced coverages up to 1, and the area under the whole curve, for JSON."""
    wanted = np.arange(1, points + 1) / points * curve.kept[-1]
    chosen = np.unique(np.searchsorted(curve.kept, wanted))
    return {
        "threshold": tuple(np.minimum(curve.threshold[chosen], 1).tolist()),
        "coverage": tuple(curve.coverage[chosen].tolist()),
        "risk": tuple(curve.risk[chosen].tolist()),
        "area": curve.area,
    }


@dataclass(frozen=True)
class Threshold:
    """A confidence from which on answers count.

    Attributes:
        value: 0-1; 0 if all answers count.
        kept: number of answers that count.
        precision: lower 95 % confidence bound of the share (0-1) of these that is right.
    """

    value: float
    kept: int
    precision: float


def lowest_threshold(
    confidence: Confidence, is_correct: Correct, precision: float
) -> tuple[Threshold | None, Threshold]:
    """Find the lowest threshold that reaches a precision, and the threshold with the highest precision.

    Args:
        confidence: of each answer, (N,).
        is_correct: whether each answer is correct, (N,).
        precision: required share (0-1) of right answers among those that count. The one-sided exact 95 % bound
            (Clopper and Pearson, 1934) has to reach it, not only the share on these images.

    Returns:
        Both thresholds; the first is ``None`` if no threshold reaches the precision.
    """
    curve = risk_coverage(confidence, is_correct)
    correct = curve.kept - curve.errors
    promised = np.where(correct > 0, betaincinv(np.maximum(correct, 1), curve.errors + 1, 1 - CONFIDENCE), 0.0)
    enough = np.flatnonzero(promised >= precision)

    def at(index: int) -> Threshold:
        value = 0.0 if curve.kept[index] == len(is_correct) else float(curve.threshold[index])
        return Threshold(value, int(curve.kept[index]), float(promised[index]))

    return at(int(enough[-1])) if len(enough) else None, at(int(promised.argmax()))
