"""Measure wall time and peak memory of commands, as processes that take turns."""

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
"""Starts the command from a small process, because Linux counts the parent's memory at the fork as the child's peak."""


@dataclass(frozen=True)
class Cost:
    """The cost of a process: wall time in ms, and peak resident memory in MiB."""

    wall_ms: float
    peak_mib: float


def interleaved_processes(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Cost]:
    """Return medians over processes that take turns; the first process of each command is not counted.

    Raises:
        CalledProcessError: a process failed.
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
