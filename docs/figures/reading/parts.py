"""Time the parts of reading one photo: the JPEG decoder at each of its scales, and all of ``load_pixels``."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from runtime.benchmark.timing import measure
from runtime.image.decode import decode, open_image
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec

SCALES = (8, 4, 2, 1)
WHOLE = "load_pixels"


def processor_ms(paths: Sequence[Path], spec: ModelSpec, rounds: int) -> dict[str, float]:
    """Measure the CPU time of each part in ms on one thread: minimum over rounds, mean over files.

    At 1/8 the decoder does the least possible work: it reads every symbol of the file and computes one pixel per block.
    """
    works: dict[str, Callable[[Path], object]] = {f"1/{scale}": partial(_decoded, scale) for scale in SCALES}
    works[WHOLE] = partial(load_pixels, spec=spec)
    timed = measure(works, paths, rounds, runs=len(paths), clock=time.thread_time_ns)
    return {name: float(np.min(times, axis=0).mean()) / 1e6 for name, times in timed.items()}


def _decoded(scale: int, path: Path) -> None:
    with path.open("rb") as file:
        decode(open_image(file), scale)
