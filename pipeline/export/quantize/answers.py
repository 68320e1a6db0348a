"""Run a model file on all images of a set, with several engines in parallel."""

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
"""Most images, and most bytes of pixels, in a batch; larger batches do not fit into the processor's cache."""
WORKERS = 2
"""Number of threads, each with its own engine of the file in memory."""


def predict_all(load: Load, content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a file's answers to all images, float32 (N, C)."""
    return all_of(load, content, pixels, lambda engine, batch: engine(batch))


def answers_of(
    load: Callable[[bytes], Any],
    pack: Callable[[Any], bytes],
    graph: Any,
    with_score: Any | None,
    pixels: NDArray[np.uint8],
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return a graph's answers to all images, (N, C), and their familiarity, (N,), or ``None`` without this output.

    Args:
        load: makes an engine of a file's bytes.
        pack: makes a file's bytes of a graph.
        graph: the network.
        with_score: the same graph with a second output, the familiarity; ``None`` if it has no such output.
        pixels: uint8 (N, H, W, 3).
    """
    if with_score is None:
        return predict_all(load, pack(graph), pixels), None
    return scored_all(load, pack(with_score), pixels)


def scored_all(load: Callable[[bytes], Any], content: bytes, pixels: NDArray[np.uint8]) -> Scored:
    """Return a file's answers to all images, (N, C), and each image's familiarity, (N,), in one pass."""
    both = all_of(load, content, pixels, lambda engine, batch: np.column_stack(engine.scored(batch)))
    return np.ascontiguousarray(both[:, :-1]), both[:, -1]


def predict_in_batches(predict: Predict, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Predict with a loaded file, (N, C): an engine given all images at once would keep the activations of all."""
    return np.concatenate([predict(np.ascontiguousarray(batch)) for batch in in_batches(pixels, BATCH, BATCH_BYTES)])


def all_of(
    load: Callable[[bytes], E],
    content: bytes,
    pixels: NDArray[np.uint8],
    ask: Callable[[E, NDArray[np.uint8]], NDArray[Any]],
) -> NDArray[Any]:
    """Return the results of ``ask`` on every batch of images, concatenated in the images' order.

    ``WORKERS`` engines of one thread each share the batches, whose sizes do not depend on the machine.
    """
    batches = list(in_batches(pixels, BATCH, BATCH_BYTES))
    shares = [batches[worker::WORKERS] for worker in range(min(WORKERS, len(batches)))]
    engines = [load(content) for _ in shares]

    def answer(engine: E, share: list[NDArray[np.uint8]]) -> list[NDArray[Any]]:
        return [ask(engine, np.ascontiguousarray(batch)) for batch in share]

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(answer, engines, shares))
    return np.concatenate([answers[number % WORKERS][number // WORKERS] for number in range(len(batches))])
