"""What layers in float cost in time, on the machine that exports."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.export.quantize.answers import Load

TURNS = 15


def price(load: Load, int8: bytes, mixed: bytes, pixels: NDArray[np.uint8]) -> str:
    """How long one image takes by an int8 file, and by the same with layers in float, in words.

    It is for the screen alone: the manifest holds nothing that another machine would measure otherwise.

    Args:
        load: from a file's bytes to its engine of one thread.
        int8: the file whose layers are all int8.
        mixed: the other.
        pixels: uint8 (N, H, W, 3); the first is timed.
    """
    before, after = shortest_us([load(int8), load(mixed)], np.ascontiguousarray(pixels[:1]))
    return f"{after:,.0f} µs an image, {before:,.0f} with every layer in int8 ({after - before:+,.0f})"


def shortest_us(
    engines: Sequence[Callable[[NDArray[np.uint8]], NDArray[np.float32]]], image: NDArray[np.uint8]
) -> list[float]:
    """The shortest call of each in microseconds; they take turns."""
    shortest = [float("inf")] * len(engines)
    for _ in range(TURNS):
        for place, engine in enumerate(engines):
            begun = time.perf_counter_ns()
            engine(image)
            shortest[place] = min(shortest[place], (time.perf_counter_ns() - begun) / 1000)
    return shortest
