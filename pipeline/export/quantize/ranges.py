"""Activation statistics, collected once, and the ranges that each calibration method computes from them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.export.quantize.config import LEARNED, MIN_MAX, QuantConfig

T = TypeVar("T")
Activations = Mapping[str, NDArray[np.float32]]
"""Float tensors of one batch, by name; the first axis of each is the image."""
Ranges = dict[str, tuple[float, float]]
"""(lowest, highest) value of each tensor, by name; 0 lies within."""

Histograms = dict[str, NDArray[np.int64]]

THREADS, LARGE_BYTES = 2, 1_500_000
"""Number of threads that collect activations. Each processes its own images; all process one image together if its
pixels take more than ``LARGE_BYTES``, because its activations then take about a gigabyte."""
BINS = 2_048
VALUES_AN_IMAGE = 4_096
"""Most values per image and tensor that are counted in its histogram, drawn at random, the same for all images.
Extremes are taken over all values."""
AVERAGING = 0.01
"""Weight of the newest image in the moving average, as in ONNX Runtime and TensorFlow's fake quantization."""
LEVELS = 128
"""Quantization levels of the magnitudes in the entropy method."""


def workers_and_threads(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """Return how many engines collect the activations of images (N, H, W, 3), and the threads of each engine."""
    return (1, THREADS) if pixels[0].nbytes > LARGE_BYTES else (THREADS, 1)


class Passes(Protocol):
    """A function that runs the network on the calibration images, batch by batch, always in the same order."""

    def __call__(self, reduce: Callable[[Activations], T]) -> Iterable[T]:
        """Return the results of ``reduce`` on each batch's activations; threads call it, and it must not keep them."""
        ...


@dataclass(frozen=True)
class Extremes:
    """Extremes and means of a tensor in a batch of N images.

    Attributes:
        lows, highs: lowest and highest value of each image, (N,).
        means: mean of each channel over the batch, (C,); ``None`` if not requested.
    """

    lows: NDArray[np.float32]
    highs: NDArray[np.float32]
    means: NDArray[np.float64] | None


class Statistics:
    """Extremes per image and histograms of every activation tensor, so that candidates need no further passes.

    Only a few batches of activations are in memory at a time. Histograms take a second pass over the images, which is
    made when a method first needs them; minimum and maximum do not.

    Args:
        passes: runs the network on the calibration images; called once or twice.
        counts: the values that ``QuantConfig.images`` may have, each at most the number of calibration images.
        averaged: names of the tensors for which ``means`` is computed, with the axis of their channels.

    Attributes:
        means: mean of each channel over all images, float64 (C,), by the tensor's name.
        learned: ranges that the method ``LEARNED`` uses instead of minimum and maximum; set by the caller.
    """

    def __init__(
        self, passes: Passes, counts: tuple[int, ...], averaged: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self._passes, self._counts = passes, tuple(sorted(set(counts)))
        self._places: dict[int, NDArray[np.int64]] = {}
        sums: dict[str, NDArray[np.float64]] = {}
        lows: dict[str, list[NDArray[np.float32]]] = {}
        highs: dict[str, list[NDArray[np.float32]]] = {}
        self.learned: Ranges = {}
        for batch in passes(lambda activations: _extremes(activations, averaged)):
            for name, found in batch.items():
                lows.setdefault(name, []).append(found.lows)
                highs.setdefault(name, []).append(found.highs)
                if found.means is not None:
                    sums[name] = sums.get(name, 0.0) + len(found.lows) * found.means
        self._lows = {name: np.concatenate(parts) for name, parts in lows.items()}
        self._highs = {name: np.concatenate(parts) for name, parts in highs.items()}
        self.means = {name: total / len(self._lows[name]) for name, total in sums.items()}
        self._edges = {
            name: np.linspace(min(float(low.min()), 0.0), max(float(self._highs[name].max()), 1e-6), BINS + 1)
            for name, low in self._lows.items()
        }

    @cached_property
    def _histograms(self) -> dict[int, Histograms]:
        """The histograms over the first ``count`` images, for each ``count`` of the counts."""
        added = [{name: np.zeros(BINS, np.int64) for name in self._edges} for _ in self._counts]
        seen = 0
        for batch in self._passes(self._sampled):
            for name, sampled in batch.items():
                for (start, stop), histograms in zip(pairwise((0, *self._counts)), added, strict=True):
                    part = sampled[max(start - seen, 0) : max(stop - seen, 0)]
                    if len(part):
                        histograms[name] += _counts(part, self._edges[name])
            seen += len(sampled)
        for before, histograms in pairwise(added):
            for name, counts in before.items():
                histograms[name] += counts
        return dict(zip(self._counts, added, strict=True))

    def _sampled(self, activations: Activations) -> dict[str, NDArray[np.float32]]:
        """Return the values of each tensor that its histogram counts, (N, at most ``VALUES_AN_IMAGE``)."""
        sampled = {}
        for name, values in activations.items():
            flat = values.reshape(len(values), -1)
            width = flat.shape[1]
            if width not in self._places:
                self._places[width] = _places(width)
            sampled[name] = flat.take(self._places[width], axis=1)
        return sampled

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all tensors."""
        return tuple(self._lows)

    def ranges(self, config: QuantConfig) -> Ranges:
        """Return the range of every tensor by the config's method, symmetric about zero if ``config.symmetric``."""
        return {name: _shape(*self._range(name, config), config.symmetric) for name in self._lows}

    def _range(self, name: str, config: QuantConfig) -> tuple[float, float]:
        lows, highs = self._lows[name][: config.images], self._highs[name][: config.images]
        if config.method == LEARNED and name in self.learned:
            return self.learned[name]
        if config.method in {MIN_MAX, LEARNED}:
            return float(lows.min()), float(highs.max())
        if config.method == "moving average":
            return _moving_average(lows), _moving_average(highs)
        histogram, edges = self._histograms[config.images][name], self._edges[name]
        if config.method == "entropy":
            threshold = entropy_threshold(histogram, edges)
            return max(float(lows.min()), -threshold), min(float(highs.max()), threshold)
        return percentile_range(histogram, edges, float(config.method.split()[1]))


def _extremes(activations: Activations, averaged: Mapping[str, int]) -> dict[str, Extremes]:
    found = {}
    for name, values in activations.items():
        flat = values.reshape(len(values), -1)
        means = _channel_means(values, averaged[name]) if name in averaged else None
        found[name] = Extremes(flat.min(axis=1), flat.max(axis=1), means)
    return found


def _channel_means(values: NDArray[np.float32], axis: int) -> NDArray[np.float64]:
    """Return the mean of each channel, float64 (C,)."""
    others = tuple(number for number in range(values.ndim) if number != axis % values.ndim)
    means: NDArray[np.float64] = values.mean(axis=others).astype(np.float64)
    return means


def _counts(values: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count values in equal bins that cover all values; ``np.histogram`` takes six times as long."""
    lowest, bins_a_unit = np.float32(edges[0]), np.float32(BINS / (edges[-1] - edges[0]))
    bins = ((values - lowest) * bins_a_unit).astype(np.int32)
    return np.bincount(bins.clip(0, BINS - 1).ravel(), minlength=BINS)


def _places(width: int) -> NDArray[np.int64]:
    """Return the indices of the values of an image's tensor, of ``width`` values, that its histogram counts."""
    if width <= VALUES_AN_IMAGE:
        return np.arange(width)
    return np.sort(np.random.default_rng(0).choice(width, VALUES_AN_IMAGE, replace=False))


def percentile_range(histogram: NDArray[np.int64], edges: NDArray[np.float64], percent: float) -> tuple[float, float]:
    """Return the range outside which ``100 - percent`` percent of the values lie on either side, exact to one bin."""
    cumulated = np.cumsum(histogram) / histogram.sum()
    share = percent / 100
    low = edges[int(np.searchsorted(cumulated, 1 - share, side="right"))]
    high = edges[min(int(np.searchsorted(cumulated, share)) + 1, len(edges) - 1)]
    return float(low), float(high)


def entropy_threshold(histogram: NDArray[np.int64], edges: NDArray[np.float64]) -> float:
    """Return the magnitude at which clipping keeps most information about the distribution.

    For each threshold, the clipped histogram of magnitudes is compared with its quantization to ``LEVELS`` levels by
    Kullback-Leibler divergence; the threshold with the smallest divergence wins (Migacz, 8-bit inference with TensorRT,
    2017). The lowest bin is left out: it holds the zeros of ReLU, which every scale represents exactly.
    """
    centers = np.abs(edges[:-1] + edges[1:]) / 2
    magnitudes, bounds = np.histogram(centers, BINS, (0.0, float(np.abs(edges).max())), weights=histogram)
    magnitudes[0] = 0
    best, threshold = np.inf, float(bounds[-1])
    for bins in range(LEVELS, BINS + 1, LEVELS // 4):
        clipped = magnitudes[:bins].copy()
        clipped[-1] += magnitudes[bins:].sum()
        starts = np.arange(LEVELS) * bins // LEVELS
        occupied = magnitudes[:bins] > 0
        sums = np.add.reduceat(magnitudes[:bins], starts)
        occupants = np.add.reduceat(occupied.astype(np.int64), starts)
        widths = np.diff([*starts, bins])
        level = np.repeat(sums / np.maximum(occupants, 1), widths) * occupied
        divergence = _divergence(clipped, level)
        if divergence < best:
            best, threshold = divergence, float(bounds[bins])
    return threshold


def _divergence(wanted: NDArray[np.float64], got: NDArray[np.float64]) -> float:
    """Compute the Kullback-Leibler divergence of two histograms, after empty bins were raised to a small value."""
    little = 1e-4
    p, q = (np.maximum(values / max(values.sum(), 1.0), little / len(values)) for values in (wanted, got))
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum(p * np.log(p / q)))


def _moving_average(values: NDArray[np.float32]) -> float:
    average = float(values[0])
    for value in values[1:]:
        average += AVERAGING * (float(value) - average)
    return average


def _shape(low: float, high: float, symmetric: bool) -> tuple[float, float]:  # noqa: FBT001 - one private caller
    low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        high = max(-low, high)
        low = -high
    return low, high
