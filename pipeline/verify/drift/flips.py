"""The images whose class is another in a model file than in Keras."""

import base64
import io
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.dataset import Dataset
from pipeline.documents.drift import Flip

PICTURED, PICTURE_SIDE = 12, 96
"""How many flips of a file are kept as pictures, and the most pixels a side of one."""


def flips(expected: NDArray[np.float32], got: NDArray[np.float32], images: Dataset) -> tuple[Flip, ...]:
    """The images on which two answers name different classes, those of which Keras was surest first.

    Args:
        expected: Keras's probabilities, float32 (N, C).
        got: the model file's.
        images: what they were asked about.
    """
    before, after = expected.argmax(axis=1), got.argmax(axis=1)
    changed = np.flatnonzero(before != after)
    names = images.class_names
    return tuple(
        Flip(
            image=int(index),
            path=images.paths[index] if images.paths else None,
            true_class=names[int(images.labels[index])] if images.labeled else "",
            keras_class=names[int(before[index])],
            keras_probability=float(expected[index, before[index]]),
            file_class=names[int(after[index])],
            probability=float(got[index, after[index]]),
        )
        for index in changed[np.argsort(-expected[changed, before[changed]], kind="stable")]
    )


def pictures(indices: Iterable[int], images: Dataset) -> dict[str, str]:
    """Images for the eye: PNG in base64 by the image's index, larger ones made smaller."""
    found = {}
    for index in dict.fromkeys(indices):
        picture = Image.fromarray(np.ascontiguousarray(images.pixels[index]))
        picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        found[str(index)] = base64.b64encode(stream.getvalue()).decode()
    return found
