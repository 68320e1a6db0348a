"""The timing harness: contenders take turns in shuffled rounds, so that a slow moment of the machine affects all."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

WARMUP_RUNS = 50
"""Most untimed runs of each contender before the first round; at most as many as in a turn, because a few runs of a
large network take seconds."""

Turn = TypeVar("Turn")
Argument = TypeVar("Argument")


def shuffled(rounds: Iterable[Sequence[Turn]], seed: int = 0) -> Iterator[list[Turn]]:
    """Yield the turns of each round in random order; the same seed gives the same orders."""
    shuffler = random.Random(seed)  # noqa: S311 - not used for security
    for turns in rounds:
        order = list(turns)
        shuffler.shuffle(order)
        yield order


def stopwatch(
    call: Callable[[Argument], Any],
    arguments: Iterable[Argument],
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[int]:
    """Time one call per argument, in nanoseconds of ``clock``; iterating over the arguments is not timed."""
    nanoseconds = []
    for argument in arguments:
        start = clock()
        call(argument)
        nanoseconds.append(clock() - start)
    return nanoseconds


def single_images(pixels: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Divide images into batches of one: uint8 (N, H, W, 3) to N arrays (1, H, W, 3)."""
    return [np.ascontiguousarray(image[np.newaxis]) for image in pixels]


def measure(  # noqa: PLR0913, PLR0917 - all have defaults but three
    contenders: Mapping[str, Callable[[Argument], Any]],
    arguments: Sequence[Argument],
    rounds: int,
    runs: int = 100,
    seed: int = 0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, list[list[int]]]:
    """Time every contender in this process.

    Args:
        contenders: functions of one argument, by name.
        arguments: the arguments, used in turn.
        rounds: number of turns of each contender, 1 or more.
        runs: timed calls per turn, 1 or more.
        seed: seed of the order of turns.
        clock: gives nanoseconds, such as those of the wall clock or of the processor.

    Returns:
        For each contender and round the nanoseconds of each call; ``runtime.benchmark.statistics`` summarizes them.

    Raises:
        ValueError: ``rounds`` or ``runs`` is below 1.
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
            nanoseconds[name].append(stopwatch(contenders[name], chosen, clock))
    return nanoseconds
