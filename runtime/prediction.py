"""``Prediction``, the result for one image, and ``Postprocessor``, which makes one from class probabilities."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.spec import NONE_CLASS, ModelSpec


@dataclass(frozen=True)
class Prediction:
    """The result for one image.

    Attributes:
        label: name of the most probable class.
        probability: its probability, 0-1.
        top: the most probable classes as (label, probability), best first; for a multi-label model it includes all
            ``labels``.
        is_confident: whether ``probability`` is at least ``ModelSpec.confidence_threshold``.
        is_known: whether the image shows one of the classes: ``False`` if its familiarity score is below
            ``ModelSpec.known_threshold`` or the class ``none`` is the most probable; ``None`` if the model file has
            neither.
        labels: for a multi-label model, the labels whose probabilities reach their thresholds, most probable first;
            may be empty. ``None`` for a single-label model.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    is_confident: bool = True
    is_known: bool | None = None
    labels: tuple[str, ...] | None = None


def optional_entries(answer: Prediction) -> dict[str, Any]:
    """Return optional entries of a JSON line: ``known`` if the file can tell, ``labels`` for a multi-label model."""
    known = {} if answer.is_known is None else {"known": answer.is_known}
    return known if answer.labels is None else known | {"labels": answer.labels}


class Postprocessor:
    """A converter of class probabilities to a ``Prediction``.

    Args:
        spec: gives the class names and thresholds.
        multi_label: whether each class has an independent probability.
    """

    def __init__(self, spec: ModelSpec, *, multi_label: bool) -> None:
        self._names, self._confident = spec.class_names, spec.confidence_threshold
        self.multi_label = multi_label
        self._has_none = not multi_label and NONE_CLASS in spec.class_names
        self._thresholds = np.array(spec.label_thresholds, np.float32) if multi_label else None

    def prediction(self, probabilities: NDArray[np.float32], top: int, *, is_known: bool | None = None) -> Prediction:
        """Return the prediction for one image.

        Args:
            probabilities: float32 (C,).
            top: how many classes to list.
            is_known: whether the image's familiarity score reaches the threshold; ``None`` if the file has no score.
        """
        order = (-probabilities).argsort(kind="stable")
        labels = None
        if self._thresholds is not None:
            places = np.flatnonzero((probabilities >= self._thresholds)[order])
            labels = tuple(self._names[place] for place in order[places].tolist())
            top = max(top, int(places[-1]) + 1) if len(places) else top
        best = order[:top]
        names = map(self._names.__getitem__, best.tolist())
        ranking = tuple(zip(names, probabilities[best].tolist(), strict=True))
        label, probability = ranking[0]
        if self._has_none:
            is_known = label != NONE_CLASS and is_known is not False
        return Prediction(label, probability, ranking, probability >= self._confident, is_known, labels)
