"""The new last layer: multinomial logistic regression on features, fitted to its one optimum (no rate, no epochs)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

PENALTY = 0.3
"""Weight of half the squared norm of the kernel, of features of unit variance; see docs/training.md."""
ITERATIONS = 200
TOLERANCE = 1e-6
SMALLEST_DEVIATION = 1e-6

Features = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Head:
    """A dense layer.

    Attributes:
        kernel: float64 (D, C).
        bias: float64 (C,).
    """

    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]

    def logits(self, features: Features) -> NDArray[np.float64]:
        """(N, D) to (N, C)."""
        result: NDArray[np.float64] = features.astype(np.float64) @ self.kernel + self.bias
        return result


def fit(features: Features, labels: Labels, class_count: int, penalty: float = PENALTY) -> Head:
    """The head under which the labels are most likely, less ``penalty``.

    Args:
        features: (V, N, D), of V views of N photos, or (N, D) of one.
        labels: (N,).
        class_count: of the head; classes without a photo are allowed.
        penalty: weight of half the squared norm of the kernel; features count with unit variance.
    """
    rows = features.reshape(-1, features.shape[-1]).astype(np.float32)
    targets = np.tile(np.asarray(labels, np.int64), len(rows) // len(labels))
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    factor = 1 / np.where(deviation > SMALLEST_DEVIATION, deviation, np.inf)
    rows = (rows - mean) * factor.astype(np.float32)
    count, width = rows.shape
    hits = np.zeros((count, class_count), np.float32)
    hits[np.arange(count), targets] = 1

    def loss(packed: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = packed.reshape(width + 1, class_count)
        logits = rows @ weights[:-1].astype(np.float32) + weights[-1].astype(np.float32)
        logarithms = logits - logsumexp(logits, axis=1, keepdims=True)
        error = (np.exp(logarithms) - hits) / count
        gradient = np.concatenate([rows.T @ error + penalty * weights[:-1], error.sum(axis=0, keepdims=True)])
        value = -float(logarithms[hits > 0].mean()) + penalty / 2 * float(np.square(weights[:-1]).sum())
        return value, gradient.astype(np.float64).ravel()

    start = np.zeros((width + 1) * class_count)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS, "ftol": TOLERANCE})
    weights = found.x.reshape(width + 1, class_count)
    kernel = weights[:-1] * factor[:, None]
    return Head(kernel, weights[-1] - mean @ kernel)
