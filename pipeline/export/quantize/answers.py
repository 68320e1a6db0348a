"""What a file answers to all images of a set, by as many engines as there are threads for it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import in_batches
from runtime.engines.base import Scored

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Load = Callable[[bytes], Predict]
E = TypeVar("E")

BATCH, BATCH_BYTES = 64, 1024 * 1024
"""Images that an engine takes at a time: the most, and their pixels; larger batches leave the processor's cache."""
WORKERS = 2
"""Each holds its own engine, so that more would cost memory."""


def predict_all(load: Load, content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """All answers of a file, float32 (N, C), in batches that fit into memory."""
    return all_of(load, content, pixels, lambda engine, batch: engine(batch))


def answers_of(
    load: Callable[[bytes], Any],
    pack: Callable[[Any], bytes],
    graph: Any,
    telling: Any | None,
    pixels: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """All answers of a graph, (N, C), and how familiar each image is to it, (N,), if it tells.

    Args:
        load: runs a file's bytes.
        pack: makes a file of a graph.
        graph: the network.
        telling: the same graph with a second output, the familiarity; ``None`` where it has no such output.
        pixels: uint8 (N, H, W, 3).
    """
    if telling is None:
        return predict_all(load, pack(graph), pixels), None
    return scored_all(load, pack(telling), pixels)


def scored_all(load: Callable[[bytes], Any], content: bytes, pixels: NDArray[np.uint8]) -> Scored:
    """All answers of a file, (N, C), and how familiar each image is, (N,), in one pass."""
    both = all_of(load, content, pixels, lambda engine, batch: np.column_stack(engine.scored(batch)))
    return np.ascontiguousarray(both[:, :-1]), both[:, -1]


def all_of(
    load: Callable[[bytes], E],
    content: bytes,
    pixels: NDArray[np.uint8],
    ask: Callable[[E, NDArray[np.uint8]], NDArray[Any]],
) -> NDArray[Any]:
    """What ``ask`` gets from an engine of the file for each batch, all batches in a row.

    The batches do not depend on the machine, only who works on them does: ``WORKERS`` engines, each with one thread.
    """
    batches = list(in_batches(pixels, BATCH, BATCH_BYTES))
    shares = [batches[worker::WORKERS] for worker in range(min(WORKERS, len(batches)))]
    engines = [load(content) for _ in shares]

    def answer(engine: E, share: list[NDArray[np.uint8]]) -> list[NDArray[Any]]:
        return [ask(engine, np.ascontiguousarray(batch)) for batch in share]

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(answer, engines, shares))
    return np.concatenate([answers[number % WORKERS][number // WORKERS] for number in range(len(batches))])
