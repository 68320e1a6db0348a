"""The accuracy that a model file carries."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.history import History
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.metrics.classification import accuracy
from runtime.spec import OUT_OF_FOLD, ModelSpec


def out_of_fold(history: History | None, class_names: tuple[str, ...]) -> OutOfFold | None:
    """What cross-validation found of a model with these classes."""
    return history.out_of_fold if history and history.class_names in (None, class_names) else None


def with_accuracy(
    spec: ModelSpec,
    answers: NDArray[np.float32],
    expected: NDArray[np.float32],
    images: Dataset,
    found: OutOfFold | None,
) -> ModelSpec:
    """The spec with the accuracy of a file.

    Cross-validation rests on more photos than the few that are held out. Where it was done, its figure stands, moved by
    what the file wins or loses against Keras on the validation images; photos that look alike count as one.

    Args:
        spec: of the file.
        answers: of the file to the validation images, (N, C).
        expected: Keras's.
        images: those.
        found: out of fold, if that is known.
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
