"""The number of processors, and the limit on the number of threads."""

import os

THREADS_PER_PROCESSOR = 4
"""Limit: more threads gain nothing, and about ten thousand crash or hang every engine."""


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def most_threads() -> int:
    """Return the largest accepted number of threads of an engine or a decoder pool on this machine."""
    return THREADS_PER_PROCESSOR * (os.cpu_count() or 1)


def thread_count_error(count: int) -> str | None:
    """Return the error text for a number of threads out of range; ``None`` if it is valid."""
    most = most_threads()
    if 1 <= count <= most:
        return None
    return f"1 to {most} on this machine ({THREADS_PER_PROCESSOR} per processor), got {str(count)[:30]}"
