"""Distances between two arrays: differences, correlation, signal-to-noise ratio, cosine similarity."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

LIMIT_DB = 200.0
"""Signal-to-noise ratios are limited to this absolute value; equal arrays have this value."""


def max_difference(first: Numbers, second: Numbers) -> float:
    """Return the largest absolute difference; NaN if either array contains one."""
    return float(np.abs(first - second).max())


def mean_difference(first: Numbers, second: Numbers) -> float:
    """Return the mean absolute difference; NaN if either array contains one."""
    return float(np.abs(first - second).mean())


def correlation(first: Numbers, second: Numbers) -> float:
    """Return Pearson's correlation coefficient over all numbers, -1 to 1; 0 if one array is constant."""
    left = first.ravel().astype(np.float64)
    right = second.ravel().astype(np.float64)
    left, right = left - left.mean(), right - right.mean()
    lengths = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / lengths if lengths > 0 else 0.0


def energy(values: Numbers) -> float:
    """Return the sum of squares, computed in float64."""
    return float(np.square(values, dtype=np.float64).sum())


def noise_ratio(signal: float, noise: float) -> float:
    """Return the noise-to-signal ratio of two energies, 0 or more; a signal of 0 gives a very large number."""
    return noise / max(signal, 1e-30)


def decibels(signal: float, noise: float) -> float:
    """Return the ratio of two powers in decibels, 10 log10(signal / noise), limited to ±``LIMIT_DB``.

    Noise that is not a finite number gives -``LIMIT_DB``.
    """
    if not math.isfinite(noise):
        return -LIMIT_DB
    if noise == 0:
        return LIMIT_DB
    return float(np.clip(10 * np.log10(max(signal, 1e-300) / noise), -LIMIT_DB, LIMIT_DB))


def snr_db(expected: Numbers, got: Numbers) -> float:
    """Return the signal-to-noise ratio: power of ``expected`` over power of the difference, in decibels."""
    distance = Distance()
    distance.add(expected, got)
    return distance.snr_db


@dataclass
class Distance:
    """Signal-to-noise ratio and cosine similarity of two arrays, accumulated over chunks.

    Attributes:
        signal: sum of squares of the reference.
        noise: sum of squares of the difference.
        power: sum of squares of the other array.
        product: sum of products of both arrays.
    """

    signal: float = 0.0
    noise: float = 0.0
    power: float = 0.0
    product: float = 0.0

    def add(self, expected: Numbers, got: Numbers) -> None:
        """Add one chunk: float arrays of equal size."""
        first, second = expected.ravel().astype(np.float64), got.ravel().astype(np.float64)
        self.signal += energy(first)
        self.power += energy(second)
        self.product += float(first @ second)
        self.noise += energy(first - second)

    @property
    def snr_db(self) -> float:
        """Power of the reference over power of the difference, in decibels."""
        return decibels(self.signal, self.noise)

    @property
    def cosine(self) -> float:
        """Cosine similarity with all chunks in one vector, -1 to 1."""
        lengths = float(np.sqrt(self.signal * self.power))
        return self.product / lengths if lengths > 0 else float(self.signal == self.power)
