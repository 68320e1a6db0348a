"""The new last layer: multinomial logistic regression on features, a convex problem solved with L-BFGS."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from pipeline.data.rows import empty

PENALTY = 0.3
"""L2 penalty of up to ``PRIOR / PENALTY`` photos: weight of half the squared norm of the kernel, for features of unit
variance, beside the mean cross-entropy; see docs/training.md."""
PRIOR = 250.0
"""L2 penalty beside the sum of the cross-entropies of more photos: what is known before any photo is seen weighs the
same, however many there are."""
ITERATIONS = 200
TOLERANCE = 1e-6
SMALLEST_DEVIATION = 1e-6

HELD_BYTES = 2**28
"""Features of at most this many bytes in float32 are normalized once and kept in a file; larger ones are normalized in
each iteration again."""
PART_BYTES, HELD_PART_BYTES = 2**23, 2**25
"""Bytes of features in float32 that are processed at a time: normalized in each iteration, or kept in a file."""
WITHOUT_COPIES_OF_SIGN = np.int32(-0x70000001)
"""Mask of float32 bits: all but the three below the sign."""

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
        step = _step(features.shape[1], PART_BYTES // 8)
        result = np.empty((len(rows), self.kernel.shape[1]))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            result[start : start + step] = features[part].astype(np.float64) @ self.kernel + self.bias
        return result


def penalty_for(photos: int) -> float:
    """Return the L2 penalty for this number of photos."""
    return min(PENALTY, PRIOR / photos)


def fit(
    features: Features,
    labels: Labels,
    class_count: int,
    penalty: float | None = None,
    chosen: NDArray[np.int64] | None = None,
) -> Head:
    """Fit the head with the smallest cross-entropy plus L2 penalty.

    Args:
        features: (V, N, D), of V views of N photos, or (N, D) of one view; may be memory-mapped.
        labels: (N,).
        class_count: number of classes of the head; classes without a photo are allowed.
        penalty: weight of half the squared norm of the kernel, for features scaled to unit variance; by the number of
            photos if ``None``.
        chosen: indices of the photos to fit to; all N if ``None``.
    """
    if penalty is None:
        penalty = penalty_for(len(labels) if chosen is None else len(chosen))
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
    """Normalized features and their labels in parts, which are kept in a file unless they are very large.

    Attributes:
        mean: float32 (D,), of the features.
        factor: float32 (D,), 1 / standard deviation; 0 for constant features.
    """

    def __init__(self, views: Features, labels: Labels, chosen: NDArray[np.int64] | None) -> None:
        self._views, self._labels = views, np.asarray(labels, np.int64)
        self._chosen = np.arange(views.shape[1]) if chosen is None else chosen
        self.mean, deviation = self._moments()
        self.factor = (1 / np.where(deviation > SMALLEST_DEVIATION, deviation, np.inf)).astype(np.float32)
        self._held: NDArray[np.float32] | None = None
        if len(self) * views.shape[2] * 4 <= HELD_BYTES:
            self._held = self._all()

    def _all(self) -> NDArray[np.float32]:
        held, done = empty((len(self), self._views.shape[2]), np.float32), 0
        for part, _ in self:
            held[done : done + len(part)] = part
            done += len(part)
        return held

    def __len__(self) -> int:
        return len(self._views) * len(self._chosen)

    def __iter__(self) -> Iterator[Part]:
        """Yield parts; the next one may overwrite the arrays of the one before."""
        if self._held is not None:
            labels = np.tile(self._labels[self._chosen], len(self._views))
            step = _step(self._held.shape[1], HELD_PART_BYTES // 4)
            for start in range(0, len(self), step):
                yield self._held[start : start + step], labels[start : start + step]
            return
        for rows, own in self._raw():
            np.subtract(rows, self.mean, out=rows)
            np.multiply(rows, self.factor, out=rows)
            yield rows, own

    def _raw(self) -> Iterator[Part]:
        step = _step(self._views.shape[2], PART_BYTES // 4)
        buffer = np.empty((min(step, len(self._chosen)), self._views.shape[2]), np.float32)
        for view in self._views:
            for start in range(0, len(self._chosen), step):
                chosen = self._chosen[start : start + step]
                rows = buffer[: len(chosen)]
                to_float32(view[chosen], rows)
                yield rows, self._labels[chosen]

    def _moments(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute mean and standard deviation of each feature, in two passes to avoid cancellation."""
        total = sum(rows.sum(axis=0, dtype=np.float64) for rows, _ in self._raw())
        mean = np.asarray(total / len(self), np.float32)
        squares = np.zeros(len(mean))
        for rows, _ in self._raw():
            np.subtract(rows, mean, out=rows)
            squares += np.square(rows, out=rows).sum(axis=0, dtype=np.float64)
        return mean, np.asarray(np.sqrt(squares / len(self)), np.float32)


def _step(width: int, numbers: int) -> int:
    """Return how many rows have this many numbers together; at least 1."""
    return max(numbers // width, 1)


def to_float32(rows: Features, out: NDArray[np.float32]) -> None:
    """Convert features; finite float16 by its bits, which takes a tenth of the time of numpy's conversion."""
    if rows.dtype != np.float16:
        out[...] = rows
        return
    bits = out.view(np.int32)
    bits[...] = rows.view(np.int16)
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, WITHOUT_COPIES_OF_SIGN, out=bits)
    np.multiply(out, np.float32(2.0**112), out=out)  # the exponents' biases are 15 and 127
