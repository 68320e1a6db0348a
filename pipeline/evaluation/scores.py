"""What a model's probabilities on labelled images come to: accuracy, confusion matrix, calibration."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.evaluation.calibration import Reliability, reliability


def scores(probabilities: NDArray[np.float32], images: Dataset) -> dict[str, Any]:
    """The figures that a page draws.

    Args:
        probabilities: float32 (N, C).
        images: what they were asked about, with their classes.

    Returns:
        ``accuracy`` (0-1), ``confusion`` (rows: what the images show) and ``calibration``; the last is ``None`` where
        not all probabilities are numbers.
    """
    confusion = confusion_matrix(probabilities.argmax(axis=1), images.labels, len(images.class_names))
    finite = bool(np.isfinite(probabilities).all())
    return {
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "confusion": confusion.tolist(),
        "calibration": calibration(reliability(probabilities, images.labels)) if finite else None,
    }


def confusion_matrix(
    predicted: NDArray[np.integer], labels: NDArray[np.integer], class_count: int
) -> NDArray[np.int64]:
    """How many images of each class (row) were taken for each class (column): int64 (C, C)."""
    cells = labels.astype(np.int64) * class_count + predicted
    return np.bincount(cells, minlength=class_count**2).reshape(class_count, class_count).astype(np.int64)


def calibration(judged: Reliability) -> dict[str, Any]:
    """The bins of a reliability diagram and the expected calibration error (0-1), for JSON."""
    return {"expected_error": judged.expected_error, **asdict(judged)}
