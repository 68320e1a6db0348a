"""The timing harness: contenders take turns in shuffled rounds, so that a slow moment of the machine hits all."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

WARMUP_RUNS = 50
"""Untimed runs before each turn, at most as many as the turn has: a large network takes seconds for a few."""

Turn = TypeVar("Turn")
Argument = TypeVar("Argument")


def shuffled(rounds: Iterable[Sequence[Turn]], seed: int = 0) -> Iterator[list[Turn]]:
    """The turns of each round in a random order of its own; the same seed gives the same orders."""
    shuffler = random.Random(seed)  # noqa: S311 - an order, no secret
    for turns in rounds:
        order = list(turns)
        shuffler.shuffle(order)
        yield order


def stopwatch(call: Callable[[Argument], Any], arguments: Iterable[Argument]) -> list[int]:
    """Nanoseconds of one call for each argument; getting the argument is not timed."""
    nanoseconds = []
    for argument in arguments:
        start = time.perf_counter_ns()
        call(argument)
        nanoseconds.append(time.perf_counter_ns() - start)
    return nanoseconds


def single_images(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Each image as a batch of one: uint8 (N, S, S, 3) to N arrays of (1, S, S, 3)."""
    return [np.ascontiguousarray(image[np.newaxis]) for image in pixels]


def measure(
    contenders: Mapping[str, Callable[[Argument], Any]],
    arguments: Sequence[Argument],
    rounds: int,
    runs: int = 100,
    seed: int = 0,
) -> dict[str, list[list[int]]]:
    """Time every contender in this process.

    Args:
        contenders: functions of one argument, by name.
        arguments: what they are called with, in turn.
        rounds: how often each contender gets a turn, 1 or more.
        runs: timed calls a turn, 1 or more.
        seed: of the order.

    Returns:
        For each contender and round the nanoseconds of each call; ``runtime.benchmark.figures`` sums them up.
    """
    if rounds < 1 or runs < 1:
        raise ValueError(f"rounds and runs must be 1 or more, got {rounds} and {runs}")
    for call in contenders.values():
        for index in range(min(WARMUP_RUNS, runs)):
            call(arguments[index % len(arguments)])
    nanoseconds: dict[str, list[list[int]]] = {name: [] for name in contenders}
    for number, order in enumerate(shuffled([list(contenders)] * rounds, seed)):
        chosen = [arguments[index % len(arguments)] for index in range(number * runs, (number + 1) * runs)]
        for name in order:
            nanoseconds[name].append(stopwatch(contenders[name], chosen))
    return nanoseconds
