"""Right answers, counted: accuracy, agreement, confusions.

Answers are scores by class, float (N, C): probabilities, or logits where only the order matters.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Answers = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def correct(answers: Answers, labels: Labels) -> NDArray[np.bool_]:
    """Whether the highest score of each image is its label's: bool (N,)."""
    result: NDArray[np.bool_] = answers.argmax(axis=1) == labels
    return result


def accuracy(answers: Answers, labels: Labels) -> float:
    """Share (0-1) of images whose highest score is their label's."""
    return float(correct(answers, labels).mean())


def same_class(first: Answers, second: Answers) -> NDArray[np.bool_]:
    """Whether both name the same class for each image: bool (N,)."""
    result: NDArray[np.bool_] = first.argmax(axis=1) == second.argmax(axis=1)
    return result


def agreement(first: Answers, second: Answers) -> float:
    """Top-1 agreement: share (0-1) of images on which both name the same class."""
    return float(same_class(first, second).mean())


def discordant(first_correct: NDArray[np.bool_], second_correct: NDArray[np.bool_]) -> tuple[int, int]:
    """On how many images the first alone is right, and on how many the second alone.

    Args:
        first_correct: bool (N,), see ``correct``.
        second_correct: the same of another classifier on the same images.
    """
    return int((first_correct & ~second_correct).sum()), int((second_correct & ~first_correct).sum())


def auroc(positive: NDArray[np.floating[Any]], negative: NDArray[np.floating[Any]]) -> float:
    """Area under the ROC curve of a score: how likely one of ``positive`` is above one of ``negative``, ties half.

    Args:
        positive: scores of what should be high, (N,), at least one.
        negative: scores of what should be low, (M,), at least one.
    """
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / (len(positive) * len(negative)))


def confusion_matrix(predicted: Labels, labels: Labels, class_count: int) -> NDArray[np.int64]:
    """How many images of each class (row) were taken for each class (column): int64 (C, C)."""
    cells = labels.astype(np.int64) * class_count + predicted
    return np.bincount(cells, minlength=class_count**2).reshape(class_count, class_count).astype(np.int64)
