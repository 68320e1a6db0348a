"""Measure how much slower a file with float layers is than an int8 file, on the machine that exports."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.export.quantize.answers import Load

TURNS = 15


def compare_latencies(load: Load, int8: bytes, mixed: bytes, pixels: NDArray[np.uint8]) -> str:
    """Say the latencies of an int8 file and of the same file with some layers in float.

    The text is only printed: the manifest does not contain measurements that depend on the machine.

    Args:
        load: makes an engine of one thread of a file's bytes.
        int8: bytes of the file whose layers are all int8.
        mixed: bytes of the file with some layers in float.
        pixels: uint8 (N, H, W, 3); the first image is used.
    """
    before, after = shortest_us([load(int8), load(mixed)], np.ascontiguousarray(pixels[:1]))
    return f"{after:,.0f} µs an image, {before:,.0f} with every layer in int8 ({after - before:+,.0f})"


def shortest_us(
    engines: Sequence[Callable[[NDArray[np.uint8]], NDArray[np.float32]]], image: NDArray[np.uint8]
) -> list[float]:
    """Time each engine's shortest run for an image, in microseconds, of ``TURNS`` calls in alternation."""
    shortest = [float("inf")] * len(engines)
    for _ in range(TURNS):
        for place, engine in enumerate(engines):
            begun = time.perf_counter_ns()
            engine(image)
            shortest[place] = min(shortest[place], (time.perf_counter_ns() - begun) / 1000)
    return shortest
