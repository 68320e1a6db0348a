"""Find the images to which a model file gives another class than Keras (flips)."""

import base64
import io
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.dataset import Dataset
from pipeline.documents.drift import Flip
from pipeline.metrics.multi_label import decisions

PICTURED, PICTURE_SIDE = 12, 96
"""How many flips per file are kept as pictures, and the longest side of a picture in pixels."""


def flips(expected: NDArray[np.float32], got: NDArray[np.float32], images: Dataset) -> tuple[Flip, ...]:
    """Find the images whose class changes; those with Keras's highest probability come first.

    Args:
        expected: Keras's probabilities, float32 (N, C).
        got: the model file's probabilities, float32 (N, C).
        images: the N images.
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


def label_flips(
    expected: NDArray[np.float32], got: NDArray[np.float32], images: Dataset, thresholds: Sequence[float]
) -> tuple[Flip, ...]:
    """Find the flips of a multi-label model: one for each image and label that is decided differently.

    The class of a flip is ``NAME`` or ``not NAME``; both come with the probability of NAME.

    Args:
        expected: Keras's probabilities, float32 (N, C).
        got: the model file's probabilities, float32 (N, C).
        images: the N images.
        thresholds: for each label, the probability from which on it is set.
    """
    before, after = decisions(expected, thresholds), decisions(got, thresholds)
    certainty = np.abs(expected - np.array(thresholds, np.float32))
    changed = np.argwhere(before != after)
    order = np.argsort(-certainty[changed[:, 0], changed[:, 1]], kind="stable")

    def said(place: int, *, shown: bool) -> str:
        return images.class_names[place] if shown else f"not {images.class_names[place]}"

    return tuple(
        Flip(
            image=int(index),
            path=images.paths[index] if images.paths else None,
            true_class="" if images.multi_hot is None else said(place, shown=bool(images.multi_hot[index, place])),
            keras_class=said(place, shown=bool(before[index, place])),
            keras_probability=float(expected[index, place]),
            file_class=said(place, shown=bool(after[index, place])),
            probability=float(got[index, place]),
        )
        for index, place in changed[order].tolist()
    )


def pictures(indices: Iterable[int], images: Dataset) -> dict[str, str]:
    """Return index -> PNG in base64 of the images with these indices, scaled down to ``PICTURE_SIDE`` if larger."""
    found = {}
    for index in dict.fromkeys(indices):
        picture = Image.fromarray(np.ascontiguousarray(images.pixels[index]))
        picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
        stream = io.BytesIO()
        picture.save(stream, "PNG")
        found[str(index)] = base64.b64encode(stream.getvalue()).decode()
    return found
