"""The answer for one image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.spec import NONE_CLASS, ModelSpec


@dataclass(frozen=True)
class Prediction:
    """The answer for one image.

    Attributes:
        label: name of the most probable class.
        probability: its probability, 0-1.
        top: the most probable classes as (label, probability), best first; of a multi-label model at least all of
            ``labels``.
        is_confident: whether the probability reaches the threshold of the model's spec (``confidence_threshold``).
        is_known: whether it shows one of the classes at all: ``False`` where it is unlike their images
            (``known_threshold``) or the class ``none`` wins; ``None`` where the file has neither, and cannot tell.
        labels: of a multi-label model, the labels whose probabilities reach their thresholds, most probable first;
            mostly several or none. ``None`` of a model that names one class.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    is_confident: bool = True
    is_known: bool | None = None
    labels: tuple[str, ...] | None = None


def more_entries(answer: Prediction) -> dict[str, Any]:
    """Entries of a JSON line that not every model file has: ``known`` and, of a multi-label model, ``labels``."""
    known = {} if answer.is_known is None else {"known": answer.is_known}
    return known if answer.labels is None else known | {"labels": answer.labels}


class Namer:
    """Names what probabilities say, by a spec.

    Args:
        spec: its class names and thresholds.
        multi_label: whether each class has a probability by itself.
    """

    def __init__(self, spec: ModelSpec, *, multi_label: bool) -> None:
        self._names, self._confident = spec.class_names, spec.confidence_threshold
        self.multi_label = multi_label
        self._has_none = not multi_label and NONE_CLASS in spec.class_names
        self._thresholds = np.array(spec.label_thresholds, np.float32) if multi_label else None

    def name(self, probabilities: NDArray[np.float32], top: int, *, is_known: bool | None = None) -> Prediction:
        """The prediction for one image's probabilities, float32 (C,).

        Args:
            probabilities: of each class.
            top: how many classes to list.
            is_known: whether it is familiar; ``None`` where the file does not tell.
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
