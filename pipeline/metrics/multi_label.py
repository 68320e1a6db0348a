"""Metrics of multi-label models: decisions, F1, average precision, thresholds.

Probabilities are float (N, C), truth and decisions bool (N, C). Macro figures are means over the labels that at least
one image has; F1 and average precision of the other labels are NaN.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.significance import CONFIDENCE, Interval, score_interval

Probabilities = NDArray[np.floating[Any]]
MultiHot = NDArray[np.bool_]

RESAMPLES, PERMUTATIONS, SEED = 1_000, 10_000, 0
NO_THRESHOLD = 0.5
FOLDS = 5
"""Number of parts in which images are judged with thresholds that were chosen on the other parts."""
FEWEST_POSITIVES = 5
"""With fewer images that have a label, or that do not, no threshold is chosen for it: it would overfit."""


def decisions(probabilities: Probabilities, thresholds: Sequence[float] | NDArray[np.float64]) -> MultiHot:
    """Return which labels each image gets: bool (N, C), probability >= threshold; thresholds (C,) or (N, C)."""
    result: MultiHot = probabilities >= np.array(thresholds, np.float32)
    return result


def label_agreement(first: MultiHot, second: MultiHot) -> NDArray[np.float64]:
    """Return, for each label, the share (0-1) of images on which both decide the same: (C,)."""
    result: NDArray[np.float64] = (first == second).mean(axis=0)
    return result


def f1_scores(decided: MultiHot, truth: MultiHot) -> NDArray[np.float64]:
    """Return F1 of each label, the harmonic mean of precision and recall: (C,); NaN if no image has the label."""
    return _f1(*(part.sum(axis=0) for part in (decided & truth, decided, truth)))


def macro_f1(decided: MultiHot, truth: MultiHot) -> float:
    """Return the mean F1 over the labels that at least one image has; 0 if there are none."""
    return _mean(f1_scores(decided, truth))


def average_precisions(probabilities: Probabilities, truth: MultiHot) -> NDArray[np.float64]:
    """Return the average precision of each label, (C,); NaN if no image has the label.

    For each image that has the label, the precision among all images with at least its probability is computed; the
    average precision is their mean. It needs no threshold.
    """
    return np.array([_average_precision(probabilities[:, place], truth[:, place]) for place in range(truth.shape[1])])


def mean_average_precision(probabilities: Probabilities, truth: MultiHot) -> float:
    """Return the mean of ``average_precisions`` over the labels that at least one image has; 0 if there are none."""
    return _mean(average_precisions(probabilities, truth))


def macro_f1_interval(decided: MultiHot, truth: MultiHot) -> Interval:
    """Return a 95 % interval of macro F1: the union of a bootstrap over the images and of ``_wilson_of_mean``.

    The bootstrap's seed is fixed. For Wilson's interval F1 is written as 2j / (1 + j), where j is the share of images
    that have a label and got it, among the images that have it or got it.
    """
    actual = truth.any(axis=0)
    hits, union = (part[:, actual].sum(axis=0) for part in (decided & truth, decided | truth))
    return _union(_interval(_resampled_f1(decided, truth)), _wilson_of_mean(hits / union, union, _f1_of))


def bootstrap_p_value(expected: MultiHot, got: MultiHot, truth: MultiHot) -> float:
    """Compute the p-value of a lower macro F1 of ``got`` than of ``expected``, by paired resamples."""
    lost = _resampled_f1(expected, truth) - _resampled_f1(got, truth)
    return float((lost <= 0).mean())


def permutation_p_value(challenger: MultiHot, best: MultiHot, truth: MultiHot) -> float:
    """Compute the p-value of the paired permutation test that ``challenger`` has a higher macro F1 than ``best``.

    Under the null hypothesis the decisions of both on an image can be exchanged (Fisher's test of paired samples).
    Whole images are exchanged, because the decisions on an image's labels are not independent. ``PERMUTATIONS`` random
    exchanges are drawn with a fixed seed, so the smallest possible p-value is 1 / (1 + ``PERMUTATIONS``).
    """
    first, second = (_counts(decided, truth) for decided in (challenger, best))
    swapped = _swapped(len(truth))
    moved = [swapped @ (there - here).astype(np.float32) for here, there in zip(first, second, strict=True)]
    actual, known = truth.sum(axis=0), truth.any(axis=0)

    def macro(hits: NDArray[Any], predicted: NDArray[Any]) -> NDArray[np.float64]:
        total: NDArray[np.float64] = _f1(hits, predicted, actual)[..., known].sum(axis=-1)
        return total

    (hits, predicted), (other_hits, other_predicted) = (
        [part.sum(axis=0) for part in counts] for counts in (first, second)
    )
    gain = macro(hits, predicted) - macro(other_hits, other_predicted)
    gains = macro(hits + moved[0], predicted + moved[1]) - macro(other_hits - moved[0], other_predicted - moved[1])
    return float((1 + (gains >= gain - 1e-6).sum()) / (1 + PERMUTATIONS))


@lru_cache(maxsize=1)
def _swapped(count: int) -> NDArray[np.float32]:
    """Draw whether each permutation exchanges the decisions of each image, 0 or 1, (``PERMUTATIONS``, N)."""
    return (np.random.default_rng(SEED).random((PERMUTATIONS, count)) < 0.5).astype(np.float32)


def _counts(decided: MultiHot, truth: MultiHot) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the counts that F1 needs of each image: correct labels and given labels, int64 (N, C) each."""
    return (decided & truth).astype(np.int64), decided.astype(np.int64)


def mean_average_precision_interval(probabilities: Probabilities, truth: MultiHot) -> Interval:
    """Return a 95 % interval of mean average precision, computed like ``macro_f1_interval``.

    In Wilson's interval, the number of trials of a label is the number of images that have it. Source: K. Boyd,
    K. H. Eng, C. D. Page, "Area under the precision-recall curve: point estimates and confidence intervals", 2013.
    """
    random = np.random.default_rng(SEED)
    count = len(truth)
    draws = (random.integers(0, count, count) for _ in range(RESAMPLES // 10))  # fewer, because each one needs sorting
    resampled = np.array([mean_average_precision(probabilities[drawn], truth[drawn]) for drawn in draws])
    actual = truth.any(axis=0)
    single = _wilson_of_mean(average_precisions(probabilities, truth)[actual], truth.sum(axis=0)[actual])
    return _union(_interval(resampled), single)


def best_thresholds(probabilities: Probabilities, truth: MultiHot) -> tuple[float, ...]:
    """Return, for each label, the threshold (0-1) with the highest F1 on these images.

    Thresholds lie halfway between two probabilities. Among thresholds with equal F1 the one nearest to ``NO_THRESHOLD``
    is chosen. If fewer than ``FEWEST_POSITIVES`` images have the label, or do not have it, it is ``NO_THRESHOLD``.
    """
    return tuple(_best_threshold(probabilities[:, place], truth[:, place]) for place in range(truth.shape[1]))


def cross_fitted_thresholds(probabilities: Probabilities, truth: MultiHot) -> NDArray[np.float64]:
    """Return, for each image and label, a threshold that was chosen without the image: (N, C).

    F1 on the images on which thresholds are chosen is too high. So the images are divided into ``FOLDS`` random parts
    with a fixed seed, and each part gets the ``best_thresholds`` of the other parts.
    """
    part = np.random.default_rng(SEED).permutation(len(truth)) % FOLDS
    thresholds = np.full(truth.shape, NO_THRESHOLD)
    for own in (part == number for number in range(FOLDS)):
        thresholds[own] = best_thresholds(probabilities[~own], truth[~own])
    return thresholds


def _best_threshold(scores: Probabilities, actual: MultiHot) -> float:
    positives = int(actual.sum())
    if min(positives, len(actual) - positives) < FEWEST_POSITIVES:
        return NO_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order].astype(np.float64), actual[order].cumsum()
    middles = (ranked[:-1] + ranked[1:]) / 2
    scored = 2 * hits[:-1] / (np.arange(1, len(ranked)) + positives)
    apart = ranked[:-1] > ranked[1:]
    if not apart.any():
        return NO_THRESHOLD
    middles, scored = middles[apart], scored[apart]
    best = middles[scored == scored.max()]
    return float(best[np.abs(best - NO_THRESHOLD).argmin()])


def _average_precision(scores: Probabilities, actual: MultiHot) -> float:
    if not actual.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], actual[order].cumsum()
    last = np.searchsorted(-ranked, -ranked, side="right")  # how many images are at least as probable
    precision = hits[last - 1] / last
    return float(precision[actual[order]].mean())


def _resampled_f1(decided: MultiHot, truth: MultiHot) -> NDArray[np.float64]:
    """Compute macro F1 of each bootstrap resample of the images, (``RESAMPLES``,)."""
    weights = _resamples(len(truth)).astype(np.float64)
    hits, predicted, actual = (weights @ part for part in (decided & truth, decided, truth))
    scores = np.where(truth.any(axis=0), _f1(hits, predicted, actual), np.nan)
    found: NDArray[np.float64] = np.nan_to_num(scores).sum(axis=1) / np.maximum((~np.isnan(scores)).sum(axis=1), 1)
    return found


@lru_cache(maxsize=1)
def _resamples(count: int) -> NDArray[np.int32]:
    """Draw how often each resample takes each image, (``RESAMPLES``, N); cached, since drawing costs more than F1."""
    return np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.int32)


def _f1(hits: NDArray[Any], predicted: NDArray[Any], actual: NDArray[Any]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = np.where(actual > 0, 2 * hits / np.maximum(predicted + actual, 1), np.nan)
    return scores


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0


def _f1_of(share: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 2 * share / (1 + share)
    return found


def _wilson_of_mean(
    shares: NDArray[np.float64],
    trials: NDArray[np.int64],
    figure: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda share: share,
) -> Interval:
    """Return a 95 % interval of the mean of ``figure`` over labels, from Wilson's interval of each label's share.

    Unlike the bootstrap, it does not shrink to zero width if all images are right. It assumes that labels are
    independent, which the bootstrap does not. Source: G. Y. Zou and A. Donner, "Construction of confidence limits about
    effect measures: a general approach", 2008.

    Args:
        shares: of each label, 0-1, (L,).
        trials: number of images on which each share was counted, (L,).
        figure: function of a share, monotonically increasing.
    """
    if not len(shares):
        return Interval(0.0, 0.0)
    bounds = np.array([score_interval(*pair) for pair in zip(shares.tolist(), trials.tolist(), strict=True)])
    low, middle, high = (figure(values) for values in (bounds[:, 0], shares, bounds[:, 1]))
    mean, count = float(middle.mean()), len(shares)
    least, most = (float(np.linalg.norm(middle - bound)) / count for bound in (low, high))
    return Interval(max(mean - least, 0.0), min(mean + most, 1.0))


def _union(first: Interval, second: Interval) -> Interval:
    return Interval(min(first.low, second.low), max(first.high, second.high))


def _interval(values: NDArray[np.float64]) -> Interval:
    rest = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, (rest, 1 - rest))
    return Interval(float(low), float(high))
