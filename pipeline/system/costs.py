"""Measure the stages of a command: seconds and memory."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What a stage took.

    Attributes:
        stage: its name.
        seconds: by the clock.
        processor_seconds: of all threads of this process together, which other work on the machine lengthens less.
        peak_mib: the most memory that the process held until the stage ended, in MiB; what came before counts too.
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
        """Measure what is done inside."""
        start, processor = time.monotonic(), time.process_time()
        yield
        seconds, of_processor = time.monotonic() - start, time.process_time() - processor
        self.entries.append(Cost(name, round(seconds, 3), round(of_processor, 3), round(peak_mib(), 1)))


def peak_mib() -> float:
    """The most resident memory that this process has held so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**2
