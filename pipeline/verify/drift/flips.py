"""The images whose class is another in a model file than in Keras."""

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


def label_flips(
    expected: NDArray[np.float32], got: NDArray[np.float32], images: Dataset, thresholds: Sequence[float]
) -> tuple[Flip, ...]:
    """The same of a multi-label model: images on which some label is decided otherwise, a flip for each such label.

    Where an image does not have a label, its class is ``not NAME``, with the probability of NAME.
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
            true_class="" if images.marks is None else said(place, shown=bool(images.marks[index, place])),
            keras_class=said(place, shown=bool(before[index, place])),
            keras_probability=float(expected[index, place]),
            file_class=said(place, shown=bool(after[index, place])),
            probability=float(got[index, place]),
        )
        for index, place in changed[order].tolist()
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
