"""Measure how much slower a file with float layers is than an int8 file, on the machine that exports."""

import numpy as np
from numpy.typing import NDArray

from pipeline.export.quantize.answers import Load
from runtime.benchmark.timing import measure, single_images

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
    timed = measure({"int8": load(int8), "mixed": load(mixed)}, single_images(pixels[:1]), rounds=TURNS, runs=1)
    before, after = (float(np.min(timed[name])) / 1_000 for name in ("int8", "mixed"))
    return f"{after:,.0f} µs an image, {before:,.0f} with every layer in int8 ({after - before:+,.0f})"
