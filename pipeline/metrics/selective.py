"""Selective classification: how many errors remain if only the surest answers count.

Source: Y. Geifman and R. El-Yaniv, "Selective classification for deep neural networks", 2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from pipeline.metrics.significance import CONFIDENCE

Confidence = NDArray[np.floating[Any]]
Right = NDArray[np.bool_]


@dataclass(frozen=True)
class RiskCoverage:
    """What is left if only answers of some confidence count, for every confidence that occurs, from high to low.

    Attributes:
        threshold: the confidence (0-1) from which on an answer counts, (K,).
        kept: how many answers count, (K,).
        errors: how many of those are wrong, (K,).
        area: area under the curve of risk against coverage (AURC): the mean error rate over all coverages, 0-1.
    """

    threshold: NDArray[np.float64]
    kept: NDArray[np.int64]
    errors: NDArray[np.int64]
    area: float

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of the answers that count, (K,)."""
        coverage: NDArray[np.float64] = self.kept / self.kept[-1]
        return coverage

    @property
    def risk(self) -> NDArray[np.float64]:
        """Share of these that are wrong, (K,)."""
        risk: NDArray[np.float64] = self.errors / self.kept
        return risk


def risk_coverage(confidence: Confidence, right: Right) -> RiskCoverage:
    """The curve of answers with these confidences, (N,), of which these are right, (N,)."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order].astype(np.float64)
    last = np.flatnonzero(np.append(ranked[:-1] != ranked[1:], True))  # equal confidences count together or not at all
    kept = last + 1
    errors = np.cumsum(~right[order])[last].astype(np.int64)
    area = float(np.average(errors / kept, weights=np.diff(kept, prepend=0)))
    return RiskCoverage(ranked[last], kept, errors, area)


POINTS = 100
"""Of a curve that is written."""


def risk_coverage_entry(curve: RiskCoverage, points: int = POINTS) -> dict[str, Any]:
    """Points of the curve at even coverages, the last at all answers, and the area under all of it, for JSON."""
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
        value: 0-1; 0 where all count.
        kept: how many answers count.
        precision: the share (0-1) of them that is right at least, with 95 % confidence.
    """

    value: float
    kept: int
    precision: float


def lowest_threshold(confidence: Confidence, right: Right, precision: float) -> tuple[Threshold | None, Threshold]:
    """The lowest threshold that has a precision, and the one that has the highest.

    Args:
        confidence: of each answer, (N,).
        right: whether it is right, (N,).
        precision: share (0-1) of the answers that count that is to be right. It has to hold for the one-sided exact
            95 % bound (Clopper and Pearson, 1934), not only for the share of these few images.

    Returns:
        ``None`` in the place of the first where no threshold has it.
    """
    curve = risk_coverage(confidence, right)
    correct = curve.kept - curve.errors
    promised = np.where(correct > 0, beta.ppf(1 - CONFIDENCE, np.maximum(correct, 1), curve.errors + 1), 0.0)
    enough = np.flatnonzero(promised >= precision)

    def at(index: int) -> Threshold:
        value = 0.0 if curve.kept[index] == len(right) else float(curve.threshold[index])
        return Threshold(value, int(curve.kept[index]), float(promised[index]))

    return at(int(enough[-1])) if len(enough) else None, at(int(promised.argmax()))
