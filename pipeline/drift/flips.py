"""The images whose class is another in a model file than in Keras."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset


def flips(expected: NDArray[np.float32], got: NDArray[np.float32], images: Dataset) -> list[dict[str, Any]]:
    """The images on which two answers name different classes, those of which Keras was surest first.

    Args:
        expected: Keras's probabilities, float32 (N, C).
        got: the model file's.
        images: what they were asked about.
    """
    before, after = expected.argmax(axis=1), got.argmax(axis=1)
    changed = np.flatnonzero(before != after)
    names = images.class_names
    return [
        {
            "image": int(index),
            "true_class": names[int(images.labels[index])],
            "keras_class": names[int(before[index])],
            "keras_probability": float(expected[index, before[index]]),
            "class": names[int(after[index])],
            "probability": float(got[index, after[index]]),
        }
        for index in changed[np.argsort(-expected[changed, before[changed]], kind="stable")]
    ]
