"""How many processors there are, and how many threads may be asked for."""

import os

THREADS_PER_PROCESSOR = 4
"""More gain nothing, and some ten thousand crash or hang every engine."""


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_threads() -> int:
    """The most threads that an engine or a pool of decoders may be asked for on this machine."""
    return THREADS_PER_PROCESSOR * (os.cpu_count() or 1)


def why_not_threads(count: int) -> str | None:
    """Why a number of threads cannot be had here, or ``None`` if it can."""
    most = most_threads()
    if 1 <= count <= most:
        return None
    return f"1 to {most} on this machine ({THREADS_PER_PROCESSOR} a processor), got {str(count)[:30]}"
