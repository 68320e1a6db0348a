"""The latency harness: contenders take turns on the same pixels, so that a slow moment of the machine hits all."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WARMUP_RUNS = 50
"""Untimed runs of each contender, and no more than a turn has: a large network takes seconds for a few."""


@dataclass(frozen=True)
class Latency:
    """Percentiles of the latency of one image, in microseconds, and how many runs they rest on."""

    p50_us: float
    p90_us: float
    p99_us: float
    runs: int


def measure(
    contenders: Mapping[str, Callable[[NDArray[np.uint8]], Any]],
    pixels: NDArray[np.uint8],
    rounds: int,
    runs_per_round: int = 100,
    seed: int = 0,
) -> dict[str, Latency]:
    """Time every contender on single images, in rounds of shuffled order.

    Args:
        contenders: functions of uint8 (1, S, S, 3), by name.
        pixels: uint8 (N, S, S, 3); runs go through them in turn.
        rounds: how often each contender gets a turn, 1 or more.
        runs_per_round: timed runs a turn.
        seed: of the order.
    """
    if rounds < 1 or runs_per_round < 1:
        raise ValueError(f"rounds and runs per round must be 1 or more, got {rounds} and {runs_per_round}")
    images = [np.ascontiguousarray(image[np.newaxis]) for image in pixels]
    for run in contenders.values():
        for index in range(min(WARMUP_RUNS, runs_per_round)):
            run(images[index % len(images)])
    order, shuffler = list(contenders), random.Random(seed)  # noqa: S311 - an order, no secret
    nanoseconds: dict[str, list[int]] = {name: [] for name in contenders}
    for round_number in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            run, record = contenders[name], nanoseconds[name].append
            for index in range(runs_per_round):
                image = images[(round_number * runs_per_round + index) % len(images)]
                start = time.perf_counter_ns()
                run(image)
                record(time.perf_counter_ns() - start)
    return {name: _summarize(values) for name, values in nanoseconds.items()}


def _summarize(nanoseconds: list[int]) -> Latency:
    p50, p90, p99 = np.percentile(nanoseconds, [50, 90, 99]) / 1000
    return Latency(float(p50), float(p90), float(p99), len(nanoseconds))
