"""Taking turns: contenders in shuffled order, round after round, in this process or as processes of their own."""

import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """One claim: ``ours`` against ``theirs``, both in ``unit``; ``measure`` is held against ``limit``.

    Attributes:
        name: what is claimed.
        ours, theirs: medians.
        unit: of both.
        measure: their ratio, their difference, or a share, as ``name`` says.
        limit: the most that ``measure`` may be, or the least where ``at_least``.
    """

    name: str
    ours: float
    theirs: float
    unit: str
    measure: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the claim holds."""
        return self.measure >= self.limit if self.at_least else self.measure <= self.limit

    def to_json(self) -> dict[str, Any]:
        """All of it, with the verdict."""
        return asdict(self) | {"met": self.met}


def interleaved(contenders: Mapping[str, Callable[[], Any]], rounds: int, runs: int = 1) -> dict[str, float]:
    """Median seconds of one call of each contender, after one untimed call.

    Args:
        contenders: what to call, by name.
        rounds: how often each gets a turn.
        runs: calls a turn, timed one by one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    order, shuffler = list(contenders), random.Random(0)  # noqa: S311 - an order, no secret
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            call, record = contenders[name], seconds[name].append
            for _ in range(runs):
                start = time.perf_counter()
                call()
                record(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


_LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print([(time.perf_counter() - start) * 1e3, usage.ru_maxrss / 1024])
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts the process from a small one: Linux counts what the parent held at the fork as the child's peak."""


@dataclass(frozen=True)
class Cost:
    """What a process took: wall time, and resident memory at its peak."""

    wall_ms: float
    peak_mib: float


def interleaved_processes(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Cost]:
    """Medians over processes that take turns; the first of each is not counted.

    Raises:
        CalledProcessError: one failed.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for command in commands.values():
        _spent(command)
    order, shuffler = list(commands), random.Random(0)  # noqa: S311 - an order, no secret
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            costs[name].append(_spent(commands[name]))
    return {
        name: Cost(
            statistics.median(cost.wall_ms for cost in values), statistics.median(cost.peak_mib for cost in values)
        )
        for name, values in costs.items()
    }


def _spent(command: Sequence[str]) -> Cost:
    launched = [sys.executable, "-S", "-c", _LAUNCHER, *command]
    done = subprocess.run(launched, stdout=subprocess.PIPE, check=True, text=True)  # noqa: S603 - our own commands
    return Cost(*json.loads(done.stdout))
