"""Measure how well numbers that are unrelated to a photo's content, such as its brightness, predict its class.

If one does, a network may learn this number instead of the content. Several numbers are tested, so the test of each is
corrected for their count (Bonferroni): otherwise chance alone would often raise an alarm on few photos.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.out_of_fold import ShortcutFeature, ShortcutName
from pipeline.metrics.significance import binomial_greater, share_interval
from runtime.errors import ImageError
from runtime.image.decode import examine, open_regular

LUMA = np.array([0.299, 0.587, 0.114])
BINS = 8
MOST_FILES = 5_000
"""At most this many headers of files are read, evenly spaced."""
LEAST_GAIN = 0.25
"""A number is reported if it avoids at least this share of the errors of always answering the largest class."""

LEVEL = 0.01
"""Level of the one-sided test, for all numbers together. A real cause is far below it, even on 40 photos."""

Values = NDArray[np.float64]


def shortcut_features(photos: Dataset, folder: Path, folds: NDArray[np.int64]) -> tuple[ShortcutFeature, ...]:
    """Return the numbers that predict the class well enough to be reported, the most accurate first.

    Args:
        photos: labeled photos.
        folder: of their files.
        folds: the fold of each photo, int64 (N,), for cross-validation.
    """
    chosen = np.linspace(0, len(photos) - 1, min(len(photos), MOST_FILES)).round().astype(int)
    brightness = np.array([float(photos.pixels[at].mean(axis=(0, 1)) @ LUMA) for at in chosen])
    paths = [photos.paths[at] for at in chosen] if photos.paths else []
    numbers: dict[ShortcutName, Values] = {"brightness": brightness, **_of_files(folder, paths)}
    found = [
        _judged(name, values, photos.labels[chosen].astype(np.int64), folds[chosen], photos.class_names)
        for name, values in numbers.items()
    ]
    significant = [row for row in found if row is not None and _p_value(row) <= LEVEL / len(numbers)]
    return tuple(sorted(significant, key=lambda row: -row.accuracy))


def _of_files(folder: Path, paths: Sequence[str]) -> dict[ShortcutName, Values]:
    """Return megapixels and aspect ratio (long side over short side) of files; NaN if a header cannot be read."""
    sizes = np.array([_size(folder / path) for path in paths]).reshape(-1, 2)
    if not len(sizes):
        return {}
    return {"megapixels": sizes.prod(axis=1) / 1e6, "shape": sizes.max(axis=1) / sizes.min(axis=1)}


def _size(path: Path) -> tuple[float, float]:
    try:
        with open_regular(path) as file:
            header = examine(file).header
    except (ImageError, OSError):
        return np.nan, np.nan
    return header.width, header.height


def _judged(
    name: ShortcutName, values: Values, labels: NDArray[np.int64], folds: NDArray[np.int64], class_names: Sequence[str]
) -> ShortcutFeature | None:
    """Cross-validate how well a number predicts the class; ``None`` if not well enough to be reported."""
    known = np.isfinite(values)
    values, labels, folds = values[known], labels[known], folds[known]
    if len(values) < 2 or len(np.unique(folds)) < 2:
        return None
    is_correct = np.zeros(len(values), bool)
    for fold in np.unique(folds):
        learned = folds != fold
        is_correct[~learned] = _predicted(values, labels, learned) == labels[~learned]
    counts = np.bincount(labels, minlength=len(class_names))
    accuracy, chance = float(is_correct.mean()), float(counts.max() / len(labels))
    interval = share_interval(accuracy, len(labels))
    if interval.low <= chance or accuracy - chance < LEAST_GAIN * (1 - chance):
        return None
    medians = {label: float(np.median(values[labels == label])) for label in np.flatnonzero(counts).tolist()}
    low, high = min(medians, key=lambda label: medians[label]), max(medians, key=lambda label: medians[label])
    return ShortcutFeature(
        name=name,
        accuracy=accuracy,
        images=len(labels),
        low=interval.low,
        high=interval.high,
        chance=chance,
        lowest=class_names[low],
        lowest_median=medians[low],
        highest=class_names[high],
        highest_median=medians[high],
    )


def _p_value(row: ShortcutFeature) -> float:
    """Compute the p-value of a number predicting the class better than always answering the largest class."""
    return binomial_greater(round(row.accuracy * row.images), row.images, row.chance)


def _predicted(values: Values, labels: NDArray[np.int64], learned: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Predict the class of photos not in ``learned``: the commonest class in the same bin of values."""
    edges = np.unique(np.quantile(values[learned], np.linspace(0, 1, BINS + 1)[1:-1]))
    bins = np.digitize(values, edges)
    counts = np.zeros((len(edges) + 1, labels.max() + 1))
    np.add.at(counts, (bins[learned], labels[learned]), 1)
    counts += np.bincount(labels[learned], minlength=counts.shape[1]) / len(labels)  # for ties and empty bins
    result: NDArray[np.int64] = counts.argmax(axis=1)[bins[~learned]]
    return result
