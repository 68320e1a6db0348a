"""Convert labels that are given as arrays: numbers, names, one-hot, or 0 and 1 for each label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.class_names import class_folders
from pipeline.errors import DataError
from runtime.text import first_of, only_in_case


def as_multi_hot(labels: NDArray[Any], class_names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Convert labels of a multi-label model, 0 or 1, (N, C), to bool.

    Raises:
        DataError: the shape differs, or a number is neither 0 nor 1.
    """
    if labels.shape[1] != len(class_names) or not np.isin(labels, (0, 1)).all():
        raise DataError(f"expected 0 or 1 for each of {len(class_names)} labels, got {labels.dtype} {labels.shape}")
    return labels.astype(np.bool_)


def as_numbers(labels: NDArray[Any], class_names: tuple[str, ...]) -> NDArray[np.int64]:
    """Convert labels, given as numbers (N,), one-hot or probabilities (N, C), or names (N,), to int64 (N,).

    Raises:
        DataError: a name is not a class of the model, or a row of 0 and 1 does not have exactly one 1.
    """
    if labels.dtype.kind in "UOS":
        places = class_folders(class_names)
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in labels]
        unknown = sorted(set(names) - set(places))
        if unknown:
            raise DataError(
                f"labels of no class of the model: {first_of(unknown)}; it has {first_of(class_names)}"
                f"{only_in_case(unknown, places, 'write them in the same way')}"
            )
        return np.array([places[name] for name in names], np.int64)
    if labels.ndim == 2 and labels.shape[1] == len(class_names):
        if np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) != 1).any():
            raise DataError(
                "expected one class per image, got images with several or none; if each is a label by itself, give "
                "multi_label=True"
            )
        labels = labels.argmax(axis=1)
    return np.asarray(labels, np.int64).reshape(len(labels))
