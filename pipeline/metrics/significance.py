"""Significance: tests of two classifiers on the same images, and intervals of shares."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, ttest_1samp

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A confidence interval of a share, 0-1."""

    low: float
    high: float


def mcnemar(only_first: int, only_second: int) -> float:
    """P-value of the exact two-sided McNemar test.

    Under the null hypothesis each image on which exactly one of two classifiers is right is a fair coin. Source:
    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947.

    Args:
        only_first: number of images on which the first classifier alone is right.
        only_second: number of images on which the second alone is right.
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def mcnemar_one_sided(only_first: int, only_second: int) -> float:
    """P-value of the exact McNemar test against the alternative that the first classifier is right more often."""
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, 0.5, alternative="greater").pvalue) if discordant else 1.0


def binomial_greater(successes: int, trials: int, share: float) -> float:
    """P-value of the exact binomial test: the chance of so many successes or more, each with chance ``share`` (0-1)."""
    return float(binomtest(successes, trials, share, alternative="greater").pvalue)


def mean_greater(values: NDArray[np.floating[Any]], bound: float) -> float:
    """P-value of Student's one-sided t-test that the mean of values (N,) is greater than ``bound``; 0 of one value."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if spread == 0:
        return 0.0 if values.mean() > bound else 1.0
    return float(ttest_1samp(values, bound, alternative="greater").pvalue)


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's score interval of a share.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    found = binomtest(successes, trials).proportion_ci(CONFIDENCE, "wilson")
    return Interval(float(found.low), float(found.high))


def share_interval(share: float, trials: int) -> Interval:
    """Wilson's 95 % interval of a share (0-1) counted on this number of images."""
    return wilson(round(share * trials), trials)


def effective_count(sizes: NDArray[np.integer[Any]]) -> float:
    """How many independent images groups of such sizes (G,) are worth: as many as groups, where these are equal.

    The number that leaves the variance of a mean the same if the images of a group are always right or wrong together,
    which is the worst case. Source: L. Kish, "Survey Sampling", 1965.
    """
    return float(sizes.sum() ** 2 / np.square(sizes.astype(np.int64)).sum())


def grouped_interval(share: float, sizes: NDArray[np.integer[Any]]) -> Interval:
    """Wilson's 95 % interval of a share (0-1) counted on images in groups of such sizes (G,)."""
    return score_interval(share, effective_count(sizes))


def score_interval(share: float, trials: float) -> Interval:
    """Wilson's 95 % interval of a share (0-1), also of one that was not counted, or on a number that is not whole."""
    deviation = float(norm.ppf((1 + CONFIDENCE) / 2))
    middle = share + deviation**2 / (2 * trials)
    half = deviation * math.sqrt(share * (1 - share) / trials + deviation**2 / (4 * trials**2))
    scale = 1 + deviation**2 / trials
    return Interval(max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0))


def upper_bound(successes: int, trials: int) -> float:
    """One-sided exact upper confidence bound of a share.

    Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", 1934.
    """
    return float(binomtest(successes, trials, alternative="less").proportion_ci(CONFIDENCE).high)


def beats_chance(accuracy: float, images: int, classes: int) -> bool:
    """Whether an accuracy (0-1) lies more than three standard errors above that of guessing one of the classes."""
    chance = 1 / classes
    return accuracy > chance + 3 * math.sqrt(chance * (1 - chance) / images)
