"""What commands cost, as processes of their own that take turns."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.benchmark.timing import shuffled

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
    for order in shuffled([list(commands)] * rounds):
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
