"""Fit networks to the training photos and the labeled photos, and judge them on held-out photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from docs.figures.field_loop.photos import NONE, Division, Photo
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec

BACKBONE, VIEWS, FOLDS, KEEP = "efficientnet-lite0", 4, 5, 0.95


class Judge:
    """A judge that fits networks to training and further photos, as ``train`` does, and scores held-out photos.

    Args:
        division: training photos, test photos and unknown photos.
        spec: the preprocessing of photos.
    """

    def __init__(self, division: Division, spec: ModelSpec) -> None:
        from pipeline.training.transfer.backbone import named

        self._division, self._spec = division, spec
        self._squares: dict[Path, NDArray[np.uint8]] = {}
        self._backbone = named(BACKBONE, spec.side)
        self._test = self._features(division.test, 1)[0]
        self._unknown = self._features(division.unknown, 1)[0]

    def answers(self, more: Sequence[Photo]) -> dict[str, Any]:
        """Fit a network to the training photos and ``more``; return its answers to test and unknown photos."""
        from pipeline.training.transfer import head

        training = [*self._division.training, *more]
        names = sorted({photo.label for photo in training})
        labels = np.array([names.index(photo.label) for photo in training])
        seen = self._features(training, VIEWS)
        fitted = head.fit(seen, labels, len(names))
        threshold = self._threshold(seen, labels, names)
        logits, others = fitted.logits(self._test), fitted.logits(self._unknown)
        said = np.array(names)[logits.argmax(axis=1)]
        actual = np.array([photo.label for photo in self._division.test])
        return {
            "labels": actual,
            "right": said == actual,
            "unknown": _is_unknown(logits, names, threshold),
            "rejected": _is_unknown(others, names, threshold),
        }

    def _features(self, photos: Sequence[Photo], views: int) -> Any:
        from pipeline.training.transfer.features import features

        for photo in photos:
            if photo.path not in self._squares:
                self._squares[photo.path] = load_pixels(photo.path, self._spec)
        squares = np.stack([self._squares[photo.path] for photo in photos])
        return features(self._backbone, squares, range(views))

    @staticmethod
    def _threshold(seen: Any, labels: Any, names: Sequence[str]) -> float:
        """Return the threshold of the largest logit that 95 % of the classes' photos reach out of fold."""
        from pipeline.training.transfer import head

        folds = np.random.default_rng(0).permutation(len(labels)) % FOLDS
        scores = np.zeros(len(labels))
        for fold in range(FOLDS):
            fitted = head.fit(seen[:, folds != fold], labels[folds != fold], len(names))
            scores[folds == fold] = fitted.logits(seen[0, folds == fold]).max(axis=1)
        is_class = np.array([names[label] != NONE for label in labels])
        return float(np.quantile(scores[is_class], 1 - KEEP, method="lower"))


def _is_unknown(logits: Any, names: Sequence[str], threshold: float) -> Any:
    """Return whether each picture is taken for none of the classes."""
    is_none = np.array(names)[logits.argmax(axis=1)] == NONE
    return is_none | (logits.max(axis=1) < threshold)
