"""The range of every quantization point: initialized from calibration images, then learned."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.export.quantize.simulation import Point, Ranges, Simulation, Taps

SPEED = 10.0
"""Factor in the exponent of ranges: a step of Adam changes a range by about this many times the learning rate."""
SMALLEST = 1e-6


class LearnedRanges:
    """Ranges as trainable variables.

    Each end of a range is the measured value times the exponential of a variable. So it keeps its sign, and a step
    changes it in proportion to its size.

    Attributes:
        variables: to be trained by an optimizer.
    """

    def __init__(self, points: Mapping[str, Point], measured: Mapping[str, tuple[float, float]]) -> None:
        self._points, self._measured = points, measured
        self._lows = {name: keras.Variable(0.0) for name, point in points.items() if not point.from_zero}
        self._highs = {name: keras.Variable(0.0) for name in points}
        self.variables = [*self._lows.values(), *self._highs.values()]

    def __call__(self) -> Ranges:
        """Return the present ranges as tensors."""
        found = {}
        for name, point in self._points.items():
            low, high = self._measured[name]
            highest = tf.minimum(max(high, SMALLEST) * tf.exp(SPEED * self._highs[name].value), point.most)
            lowest = min(low, 0.0) * tf.exp(SPEED * self._lows[name].value) if name in self._lows else tf.constant(0.0)
            found[name] = lowest, highest
        return found

    def numbers(self) -> dict[str, tuple[float, float]]:
        """Return the present ranges as numbers: point -> (lowest, highest)."""
        return {name: (float(low), float(high)) for name, (low, high) in self().items()}


def measure(simulation: Simulation, batches: list[NDArray[np.float32]]) -> dict[str, tuple[float, float]]:
    """Measure the lowest and highest value at each point in float.

    Args:
        simulation: the network.
        batches: images, float32 (N, H, W, 3), scaled for the network.

    Returns:
        Point -> (lowest, highest).
    """
    found: dict[str, tuple[float, float]] = {}
    for batch in batches:
        taps: Taps = {}
        simulation(tf.convert_to_tensor(batch), taps=taps)
        for name in simulation.points:
            low, high = (float(end(taps[name][0])) for end in (tf.reduce_min, tf.reduce_max))
            before = found.get(name, (low, high))
            found[name] = min(low, before[0]), max(high, before[1])
    return found
