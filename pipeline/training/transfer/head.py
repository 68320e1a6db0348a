"""The new last layer: multinomial logistic regression on features, a convex problem solved with L-BFGS."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

PENALTY = 0.3
"""L2 penalty: weight of half the squared norm of the kernel, for features of unit variance; see docs/training.md."""
ITERATIONS = 200
TOLERANCE = 1e-6
SMALLEST_DEVIATION = 1e-6

HELD_BYTES = 2**26
"""Features of at most this many bytes in float32 are normalized once and held in memory; larger ones are read in parts,
in each iteration again."""
PART_BYTES = 2**21
"""Bytes of features in float32 that are read at a time; larger parts are not faster."""

Features = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
Part = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True)
class Head:
    """A dense layer.

    Attributes:
        kernel: float64 (D, C).
        bias: float64 (C,).
    """

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]

    def logits(self, features: Features, chosen: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Compute logits, float64 (N, C), of features (N, D), or only of the rows ``chosen``.

        Features may be memory-mapped.
        """
        rows = np.arange(len(features)) if chosen is None else chosen
        step = max(PART_BYTES // 8 // features.shape[1], 1)
        result = np.empty((len(rows), self.kernel.shape[1]))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            result[start : start + step] = features[part].astype(np.float64) @ self.kernel + self.bias
        return result


def fit(
    features: Features,
    labels: Labels,
    class_count: int,
    penalty: float = PENALTY,
    chosen: NDArray[np.int64] | None = None,
) -> Head:
    """Fit the head with the smallest cross-entropy plus L2 penalty.

    Args:
        features: (V, N, D), of V views of N photos, or (N, D) of one view; may be memory-mapped.
        labels: (N,).
        class_count: number of classes of the head; classes without a photo are allowed.
        penalty: weight of half the squared norm of the kernel, for features scaled to unit variance.
        chosen: indices of the photos to fit to; all N if ``None``.
    """
    rows = _Rows(features if features.ndim == 3 else features[None], labels, chosen)
    width = features.shape[-1]

    def loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = packed.reshape(width + 1, class_count)
        kernel, bias = weights[:-1].astype(np.float32), weights[-1].astype(np.float32)
        value, gradient = penalty / 2 * float(np.square(weights[:-1]).sum()), np.zeros_like(weights)
        gradient[:-1] = penalty * weights[:-1]
        for part, targets in rows:
            logits = part @ kernel + bias
            logarithms = logits - logsumexp(logits, axis=1, keepdims=True)
            places = np.arange(len(part)), targets
            value -= float(logarithms[places].sum(dtype=np.float64)) / len(rows)
            error = np.exp(logarithms)
            error[places] -= 1
            error /= len(rows)
            gradient[:-1] += part.T @ error
            gradient[-1] += error.sum(axis=0)
        return value, gradient.ravel()

    start = np.zeros((width + 1) * class_count)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "ftol": TOLERANCE})
    weights = found.x.reshape(width + 1, class_count)
    kernel = weights[:-1] * rows.factor[:, None]
    return Head(kernel, weights[-1] - rows.mean @ kernel)


class _Rows:
    """Iterates over normalized features and their labels in parts; small data is held in memory as one part.

    Attributes:
        mean: float32 (D,), of the features.
        factor: float32 (D,), 1 / standard deviation; 0 for constant features.
    """

    def __init__(self, views: Features, labels: Labels, chosen: NDArray[np.int64] | None) -> None:
        self._views, self._labels = views, np.asarray(labels, np.int64)
        self._chosen = np.arange(views.shape[1]) if chosen is None else chosen
        few = len(self) * views.shape[2] * 4 <= HELD_BYTES
        self._parts: list[Part] | None = None
        self.mean, deviation = self._moments()
        self.factor = (1 / np.where(deviation > SMALLEST_DEVIATION, deviation, np.inf)).astype(np.float32)
        if few:
            self._parts = [self._held()]

    def _held(self) -> Part:
        """Build one part of all rows; it is filled in place, so that the memory is never needed twice."""
        rows = np.empty((len(self), self._views.shape[2]), np.float32)
        labels, done = np.empty(len(self), np.int64), 0
        for part, own in self:
            rows[done : done + len(part)], labels[done : done + len(part)] = part, own
            done += len(part)
        return rows, labels

    def __len__(self) -> int:
        return len(self._views) * len(self._chosen)

    def __iter__(self) -> Iterator[Part]:
        if self._parts is not None:
            yield from self._parts
            return
        for rows, own in self._raw():
            np.subtract(rows, self.mean, out=rows)
            np.multiply(rows, self.factor, out=rows)
            yield rows, own

    def _raw(self) -> Iterator[Part]:
        step = max(PART_BYTES // 4 // self._views.shape[2], 1)
        for view in self._views:
            for start in range(0, len(self._chosen), step):
                chosen = self._chosen[start : start + step]
                yield view[chosen].astype(np.float32), self._labels[chosen]

    def _moments(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute mean and standard deviation of each feature, in two passes to avoid cancellation."""
        total = sum(rows.sum(axis=0, dtype=np.float64) for rows, _ in self._raw())
        mean = np.asarray(total / len(self), np.float32)
        squares = np.zeros(len(mean))
        for rows, _ in self._raw():
            np.subtract(rows, mean, out=rows)
            squares += np.square(rows, out=rows).sum(axis=0, dtype=np.float64)
        return mean, np.asarray(np.sqrt(squares / len(self)), np.float32)
