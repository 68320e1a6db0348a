"""Latency figures of many timed runs.

Runs of one round share the machine's mood, so a round is what is drawn anew in the bootstrap (Efron, 1979), not a run;
and as all contenders have the same rounds, a ratio is taken round by round, where a slow moment hits both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
INTERVAL = (2.5, 97.5)
Rounds = Sequence[Sequence[int]]
"""Nanoseconds of the runs of every round."""


@dataclass(frozen=True)
class Latency:
    """Percentiles of all runs in microseconds, how many runs there were, and how far the rounds lie apart.

    ``spread`` is the distance between the quartiles of the rounds' medians, as a share of ``p50``.
    """

    p50: float
    p90: float
    p99: float
    worst: float
    spread: float
    runs: int


@dataclass(frozen=True)
class Ratio:
    """How many times as long one takes as another, and the interval of 95 %."""

    value: float
    low: float
    high: float


def latency_us(rounds: Rounds) -> Latency:
    """Percentiles of all runs in microseconds."""
    runs = np.concatenate([np.asarray(values, np.float64) for values in rounds]) / 1e3
    p50, p90, p99 = np.percentile(runs, [50, 90, 99])
    low, high = np.percentile(medians(rounds), [25, 75]) / 1e3
    spread = float((high - low) / p50)
    return Latency(float(p50), float(p90), float(p99), float(runs.max()), spread, len(runs))


def images_per_s(rounds: Rounds, batch: int) -> float:
    """The median over rounds of the images that were answered in a second."""
    return float(np.median([batch * 1e9 / np.mean(values) for values in rounds]))


def median_us(rounds: Rounds) -> float:
    """The median of all runs in microseconds."""
    return float(np.median(np.concatenate([np.asarray(values, np.float64) for values in rounds]))) / 1e3


def medians(rounds: Rounds) -> NDArray[np.float64]:
    """Of every round, in nanoseconds."""
    return np.array([np.median(values) for values in rounds], np.float64)


def ratio(ours: NDArray[np.float64], theirs: NDArray[np.float64], seed: int = 0) -> Ratio:
    """How many times theirs ours takes: the median over rounds, with its bootstrap interval of 95 %.

    Args:
        ours: a median a round, float64 (R,).
        theirs: the same of the same rounds.
        seed: of the resampling.
    """
    ratios = ours / theirs
    drawn = np.random.default_rng(seed).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), INTERVAL)
    return Ratio(float(np.median(ratios)), float(low), float(high))
