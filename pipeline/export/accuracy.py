"""The accuracy that is written into a model file."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.history import History
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.metrics.classification import accuracy
from runtime.spec import OUT_OF_FOLD, ModelSpec


def out_of_fold(history: History | None, class_names: tuple[str, ...]) -> OutOfFold | None:
    """Return the result of cross-validation in training; ``None`` without one or if the classes have changed."""
    return history.out_of_fold if history and history.class_names in (None, class_names) else None


def with_accuracy(
    spec: ModelSpec,
    answers: NDArray[np.float32],
    expected: NDArray[np.float32],
    images: Dataset,
    found: OutOfFold | None,
) -> ModelSpec:
    """Return the spec with the accuracy of a file.

    Cross-validation measures on more photos than the few that are held out. Where training cross-validated, the
    accuracy is the out-of-fold accuracy plus the difference between file and Keras on the validation images, clipped
    to 0-1; the image count is then the effective one, in which photos that look alike count as one.

    Args:
        spec: the file's spec.
        answers: the file's probabilities for the validation images, (N, C).
        expected: Keras's probabilities for them, (N, C).
        images: the N validation images; without labels the spec is returned unchanged.
        found: the result of cross-validation, if training did one.
    """
    if not images.labeled:
        return spec
    own = accuracy(answers, images.labels)
    if found is None:
        return replace(spec, accuracy=own, accuracy_images=len(images))
    moved = found.accuracy + own - accuracy(expected, images.labels)
    return replace(
        spec,
        accuracy=min(max(moved, 0.0), 1.0),
        accuracy_images=round(found.effective or found.images),
        provenance={**spec.provenance, "accuracy": OUT_OF_FOLD},
    )
