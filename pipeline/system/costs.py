"""Measure the stages of a command: seconds and memory."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """The cost of a stage.

    Attributes:
        stage: its name.
        seconds: wall-clock time.
        processor_seconds: CPU time of all threads of this process; depends less on other load of the machine.
        peak_mib: peak memory of the process since its start until the stage's end, in MiB.
    """

    stage: str
    seconds: float
    processor_seconds: float
    peak_mib: float


class Costs:
    """The costs of stages, in the order in which they ended."""

    def __init__(self) -> None:
        self.entries: list[Cost] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block."""
        start, processor = time.monotonic(), time.process_time()
        yield
        seconds, of_processor = time.monotonic() - start, time.process_time() - processor
        self.entries.append(Cost(name, round(seconds, 3), round(of_processor, 3), round(peak_mib(), 1)))


def peak_mib() -> float:
    """Return the peak resident memory of this process so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**2
