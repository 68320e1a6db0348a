"""Labels from a notebook: arrays of numbers, of names, or of 0 and 1."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.class_names import class_folders
from pipeline.errors import DataError
from runtime.text import first_of


def given_marks(labels: NDArray[Any], class_names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Several labels an image: 0 or 1 for each class, (N, C).

    Raises:
        DataError: another shape, or other numbers.
    """
    if labels.shape[1] != len(class_names) or not np.isin(labels, (0, 1)).all():
        raise DataError(f"expected 0 or 1 for each of {len(class_names)} labels, got {labels.dtype} {labels.shape}")
    return labels.astype(np.bool_)


def given_numbers(labels: NDArray[Any], class_names: tuple[str, ...]) -> NDArray[np.int64]:
    """Labels as numbers: given as numbers, one-hot, or by name.

    Raises:
        DataError: a name that is no class of the model.
    """
    if labels.dtype.kind in "UOS":
        places = class_folders(class_names)
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in labels]
        unknown = sorted(set(names) - set(places))
        if unknown:
            raise DataError(f"labels of no class of the model: {first_of(unknown)}; it has {first_of(class_names)}")
        return np.array([places[name] for name in names], np.int64)
    if labels.ndim == 2 and labels.shape[1] == len(class_names):
        if np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) != 1).any():
            raise DataError(
                "expected one class an image, got images with several or none; where each is a label by itself, say "
                "multi_label=True"
            )
        labels = labels.argmax(axis=1)
    return np.asarray(labels, np.int64).reshape(len(labels))
