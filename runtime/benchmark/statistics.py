"""Compute latency percentiles and ratios from timed runs.

Runs of one round are correlated, because the machine's state changes slowly. Therefore the bootstrap (Efron, 1979)
resamples rounds, not runs. Ratios are computed round by round, so that a slow moment affects both contenders.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
INTERVAL = (2.5, 97.5)
Rounds = Sequence[Sequence[int]]
"""Run times in nanoseconds, by round."""


@dataclass(frozen=True)
class Latency:
    """Percentiles of all runs in microseconds, the number of runs, and the spread of the rounds.

    ``spread`` is the interquartile range of the rounds' medians, as a share of ``p50``.
    """

    p50: float
    p90: float
    p99: float
    worst: float
    spread: float
    runs: int


@dataclass(frozen=True)
class Ratio:
    """Ratio of two latencies, with its 95 % confidence interval."""

    value: float
    low: float
    high: float


def latency_us(rounds: Rounds) -> Latency:
    """Return the percentiles of all runs in microseconds."""
    runs = np.concatenate([np.asarray(values, np.float64) for values in rounds]) / 1e3
    p50, p90, p99 = np.percentile(runs, [50, 90, 99])
    low, high = np.percentile(medians(rounds), [25, 75]) / 1e3
    spread = float((high - low) / p50)
    return Latency(float(p50), float(p90), float(p99), float(runs.max()), spread, len(runs))


def images_per_s(rounds: Rounds, batch: int) -> float:
    """Return the throughput in images per second, the median over rounds."""
    return float(np.median([batch * 1e9 / np.mean(values) for values in rounds]))


def median_us(rounds: Rounds) -> float:
    """Return the median of all runs in microseconds."""
    return float(np.median(np.concatenate([np.asarray(values, np.float64) for values in rounds]))) / 1e3


def medians(rounds: Rounds) -> NDArray[np.float64]:
    """Return the median of each round in nanoseconds, float64 (R,)."""
    return np.array([np.median(values) for values in rounds], np.float64)


def ratio(ours: NDArray[np.float64], theirs: NDArray[np.float64], seed: int = 0) -> Ratio:
    """Return the ratio ``ours / theirs``: the median over rounds, with its 95 % bootstrap interval.

    Args:
        ours: the median of each round, float64 (R,).
        theirs: the other contender's medians of the same rounds, float64 (R,).
        seed: seed of the resampling.
    """
    ratios = ours / theirs
    drawn = np.random.default_rng(seed).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), INTERVAL)
    return Ratio(float(np.median(ratios)), float(low), float(high))
