"""Cross-validate a head: its out-of-fold accuracy, learning curve and temperature."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.folds import stratified
from pipeline.errors import DataError
from pipeline.metrics.calibration import (
    FEWEST_ERRORS,
    FEWEST_IMAGES,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    softmax,
)
from pipeline.metrics.classification import accuracy, correct
from pipeline.training.transfer import head

MANY, FEW = 500, 100
"""Fewer than MANY photos are divided into ten folds, else into five; below FEW the cross-validation is repeated."""
REPEATS = 3
FLAT = 1e-6
"""Error curves with a smaller slope than this, in log-log, count as flat."""
PARTS = (0.25, 0.5)
"""Shares of the photos at which the learning curve is measured, besides all photos."""

Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class CrossValidation:
    """The result of cross-validation.

    Attributes:
        logits: out-of-fold logits, float64 (N, C), of the first repeat.
        accuracy: out-of-fold accuracy (0-1), mean over the repeats.
        folds: number of folds.
        repeats: number of repeats, each with another division.
        curve: pairs of mean number of photos per class and accuracy, with increasing numbers of photos.
        temperature: fitted to the logits; 1 if that does not help.
    """

    logits: NDArray[np.float64]
    accuracy: float
    folds: int
    repeats: int
    curve: tuple[tuple[float, float], ...]
    temperature: float


@dataclass(frozen=True)
class Views:
    """The features, labels and groups of photos.

    Attributes:
        features: (V, N, D); the first view is the unchanged photo, on which heads are judged.
        labels: (N,).
        groups: int64 (N,), the group of each photo; photos that look alike are in the same group.
        class_count: number of classes, C.
    """

    features: head.Features
    labels: Labels
    groups: NDArray[np.int64]
    class_count: int


def cross_validate(known: Views, seed: int) -> CrossValidation:
    """Cross-validate the head; ``seed`` is that of the divisions.

    Raises:
        DataError: all photos look alike, so that they cannot be divided.
    """
    labels = known.labels
    if len(np.unique(known.groups)) < 2:
        raise DataError(
            f"all {len(labels):,} photos look alike, as in one burst: take photos at other places and times"
        )
    count, repeats = 10 if len(labels) < MANY else 5, REPEATS if len(labels) < FEW else 1
    count = min(count, len(np.unique(known.groups)))
    divisions = [stratified(labels, known.groups, count, seed + repeat) for repeat in range(repeats)]
    answers = [_out_of_fold(known, folds) for folds in divisions]
    mean = float(np.mean([accuracy(logits, labels) for logits in answers]))
    a_class = len(labels) * (count - 1) / count / known.class_count
    curve = [(a_class * part, accuracy(_out_of_fold(known, divisions[0], part, seed), labels)) for part in PARTS]
    temperature = out_of_fold_temperature(answers[0], labels, divisions[0])
    return CrossValidation(answers[0], mean, count, repeats, (*curve, (a_class, mean)), temperature)


def plain_accuracy(known: Views, pixels: NDArray[np.uint8], seed: int) -> float:
    """Return the out-of-fold accuracy (0-1) of a head that sees only mean and deviation of red, green and blue.

    If it is high, light or background distinguish the classes, and a network may learn these instead.
    """
    flat = np.empty((len(pixels), 6))
    for row, square in zip(flat, pixels, strict=True):
        row[:3], row[3:] = square.mean(axis=(0, 1)), square.std(axis=(0, 1))
    count = min(10 if len(pixels) < MANY else 5, len(np.unique(known.groups)))
    folds = stratified(known.labels, known.groups, count, seed)
    plain = Views(flat[None], known.labels, known.groups, known.class_count)
    return accuracy(_out_of_fold(plain, folds), known.labels)


def _out_of_fold(known: Views, folds: NDArray[np.int64], part: float = 1.0, seed: int = 0) -> NDArray[np.float64]:
    """Compute logits (N, C) of each photo by a head that was fitted to ``part`` of the photos in the other folds."""
    random = np.random.default_rng(seed)
    logits = np.zeros((len(known.labels), known.class_count))
    for fold in np.unique(folds):
        learned = np.flatnonzero(folds != fold)
        if part < 1:
            learned = _thinned(learned, known.labels, part, random)
        fitted = head.fit(known.features, known.labels, known.class_count, chosen=learned)
        judged = np.flatnonzero(folds == fold)
        logits[judged] = fitted.logits(known.features[0], judged)
    return logits


def _thinned(indices: NDArray[np.int64], labels: Labels, part: float, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw ``part`` of the photos of each class, at least one."""
    kept = []
    for label in np.unique(labels[indices]):
        own = indices[labels[indices] == label]
        kept.append(random.permutation(own)[: max(round(part * len(own)), 1)])
    return np.sort(np.concatenate(kept))


def out_of_fold_temperature(logits: NDArray[np.float64], labels: Labels, folds: NDArray[np.int64]) -> float:
    """Fit the temperature; return 1 if it does not improve photos that it was not fitted on, or with too few photos."""
    if len(labels) < FEWEST_IMAGES or int((~correct(logits, labels)).sum()) < FEWEST_ERRORS:
        return 1.0
    tempered = np.zeros_like(logits)
    for half in (folds % 2 == 0, folds % 2 == 1):
        tempered[half] = logits[half] / fit_temperature(logits[~half], labels[~half])
    likelier = negative_log_likelihood(tempered, labels) < negative_log_likelihood(logits, labels)
    before, after = (reliability(softmax(each), labels).expected_error for each in (logits, tempered))
    return fit_temperature(logits, labels) if likelier and after <= before else 1.0


def expected_gain(curve: tuple[tuple[float, float], ...]) -> float | None:
    """Extrapolate by how much accuracy (0-1) would rise with twice as many photos.

    The error rate is fitted by a power of the number of photos (Hestness et al., 2017); ``None`` if it does not fall.
    """
    counts, errors = np.array([count for count, _ in curve]), np.array([1 - share for _, share in curve])
    if (errors <= 0).any() or len(errors) < 2:
        return None
    slope = float(np.polyfit(np.log(counts), np.log(errors), 1)[0])
    return float(errors[-1] * (1 - 2 ** max(slope, -1.0))) if slope < -FLAT else None
