"""Significance: tests of two classifiers on the same images, and intervals of shares."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, ndtri, stdtr  # scipy.stats takes a second to import

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A confidence interval of a share, 0-1."""

    low: float
    high: float


def mcnemar(only_first: int, only_second: int) -> float:
    """Compute the p-value of the exact two-sided McNemar test.

    Under the null hypothesis, if only one of two classifiers is right on an image, it is either with probability 1/2.
    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    1947.

    Args:
        only_first: number of images on which only the first classifier is right.
        only_second: number of images on which only the second classifier is right.
    """
    discordant = only_first + only_second
    return min(2 * float(bdtr(min(only_first, only_second), discordant, 0.5)), 1.0)


def mcnemar_one_sided(only_first: int, only_second: int) -> float:
    """Compute the p-value of the exact McNemar test against the first classifier being right more often."""
    return binomial_greater(only_first, only_first + only_second, 0.5)


def binomial_greater(successes: int, trials: int, share: float) -> float:
    """Compute the p-value of the exact binomial test: chance of ``successes`` or more, each of this ``share`` (0-1)."""
    return float(bdtrc(successes - 1, trials, share)) if successes else 1.0


def mean_greater(values: NDArray[np.floating[Any]], bound: float) -> float:
    """Compute the p-value of Student's one-sided t-test that the mean of values, (N,), is greater than ``bound``.

    For a single value, or equal ones, it is 0 or 1.
    """
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if spread == 0:
        return 0.0 if values.mean() > bound else 1.0
    return float(stdtr(len(values) - 1, (bound - values.mean()) / spread * math.sqrt(len(values))))


def wilson(successes: int, trials: int) -> Interval:
    """Return Wilson's 95 % score interval of a share.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        ValueError: ``trials`` is 0, or there are more successes than trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"expected at least one trial and at most as many successes, got {successes} of {trials}")
    found = score_interval(successes / trials, trials)
    return Interval(found.low if successes else 0.0, found.high if successes < trials else 1.0)


def share_interval(share: float, trials: int) -> Interval:
    """Return Wilson's 95 % interval of a share (0-1) that was counted on ``trials`` images."""
    return wilson(round(share * trials), trials)


def effective_count(sizes: NDArray[np.integer[Any]]) -> float:
    """Return the effective number of independent images of groups with these sizes, (G,).

    The mean of that many independent images has the variance that the mean over the groups has if the images of a group
    are always right or wrong together, which is the worst case. For G groups of equal size it is G. Source: L. Kish,
    "Survey Sampling", 1965.
    """
    return float(sizes.sum() ** 2 / np.square(sizes.astype(np.int64)).sum())


def grouped_interval(share: float, sizes: NDArray[np.integer[Any]]) -> Interval:
    """Return Wilson's 95 % interval of a share (0-1) that was counted on images in groups with these sizes, (G,)."""
    return score_interval(share, effective_count(sizes))


def score_interval(share: float, trials: float) -> Interval:
    """Return Wilson's 95 % interval of a share (0-1); ``trials`` and ``share * trials`` need not be whole numbers."""
    deviation = float(ndtri((1 + CONFIDENCE) / 2))
    middle = share + deviation**2 / (2 * trials)
    half = deviation * math.sqrt(share * (1 - share) / trials + deviation**2 / (4 * trials**2))
    scale = 1 + deviation**2 / trials
    return Interval(max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0))


def auroc_interval(area: float, positives: int, negatives: int) -> Interval:
    """Return the 95 % interval of an area under the ROC curve (0-1) of so many positive and negative scores.

    Source: J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver operating characteristic
    (ROC) curve", 1982.
    """
    both_positive, both_negative = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (
        area * (1 - area) + (positives - 1) * (both_positive - area**2) + (negatives - 1) * (both_negative - area**2)
    ) / (positives * negatives)
    half = float(ndtri((1 + CONFIDENCE) / 2)) * math.sqrt(max(variance, 0.0))
    return Interval(max(area - half, 0.0), min(area + half, 1.0))


def beats_chance(accuracy: float, images: int, classes: int) -> bool:
    """Return whether an accuracy (0-1) is more than three standard errors above guessing, which has 1 / ``classes``."""
    chance = 1 / classes
    return accuracy > chance + 3 * math.sqrt(chance * (1 - chance) / images)
