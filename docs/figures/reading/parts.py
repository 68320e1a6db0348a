"""Time the parts of reading one photo: the JPEG decoder at each of its scales, and all of ``load_pixels``."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

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
    least: dict[str, list[float]] = {name: [] for name in works}
    for path in paths:
        for name, work in works.items():
            work(path)  # warm-up, so that memory and caches do not depend on the part before
            least[name].append(min(_thread_ms(work, path) for _ in range(rounds)))
    return {name: mean(times) for name, times in least.items()}


def _thread_ms(work: Callable[[Path], object], path: Path) -> float:
    started = time.thread_time()
    work(path)
    return 1_000 * (time.thread_time() - started)


def _decoded(scale: int, path: Path) -> None:
    with path.open("rb") as file:
        decode(open_image(file), scale)
