"""Accuracy, agreement, AUROC and the confusion matrix.

Answers are scores of each class, float (N, C): probabilities, or logits, because only their order matters here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Answers = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def correct(answers: Answers, labels: Labels) -> NDArray[np.bool_]:
    """Return whether the label of each image has the highest score: bool (N,)."""
    result: NDArray[np.bool_] = answers.argmax(axis=1) == labels
    return result


def accuracy(answers: Answers, labels: Labels) -> float:
    """Return the share (0-1) of images whose label has the highest score."""
    return float(correct(answers, labels).mean())


def exact_match(predicted: Labels, labels: Labels) -> float:
    """Return the share (0-1) of images whose class, (N,), or all of whose labels, (N, C), are predicted correctly."""
    return float((predicted == labels).reshape(len(labels), -1).all(axis=1).mean())


def same_class(first: Answers, second: Answers) -> NDArray[np.bool_]:
    """Return whether both predict the same class for each image: bool (N,)."""
    result: NDArray[np.bool_] = first.argmax(axis=1) == second.argmax(axis=1)
    return result


def agreement(first: Answers, second: Answers) -> float:
    """Return the top-1 agreement: the share (0-1) of images for which both predict the same class."""
    return float(same_class(first, second).mean())


def discordant(first_correct: NDArray[np.bool_], second_correct: NDArray[np.bool_]) -> tuple[int, int]:
    """Count the images on which only the first, and on which only the second classifier is right.

    Args:
        first_correct: bool (N,), see ``correct``.
        second_correct: bool (N,), of another classifier on the same images.
    """
    return int((first_correct & ~second_correct).sum()), int((second_correct & ~first_correct).sum())


def auroc(positive: NDArray[np.floating[Any]], negative: NDArray[np.floating[Any]]) -> float:
    """Compute the area under the ROC curve of a score.

    This is the probability that a random score of ``positive`` is above one of ``negative``; ties count half.

    Args:
        positive: scores that should be high, (N,), at least one.
        negative: scores that should be low, (M,), at least one.
    """
    ordered = np.sort(negative)
    below, not_above = (np.searchsorted(ordered, positive, side) for side in ("left", "right"))
    return float((below + not_above).sum() / (2 * len(positive) * len(negative)))


def confusion_matrix(predicted: Labels, labels: Labels, class_count: int) -> NDArray[np.int64]:
    """Count the images of each true class (row) by predicted class (column): int64 (C, C)."""
    cells = labels.astype(np.int64) * class_count + predicted
    return np.bincount(cells, minlength=class_count**2).reshape(class_count, class_count).astype(np.int64)
