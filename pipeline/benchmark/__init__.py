"""Benchmark the exported files on every engine of the desktop machine.

``benchmark`` is imported on first use, so that the process of a contender imports only its own engine.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.benchmark.run import benchmark

__all__ = ["benchmark"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pipeline.benchmark' has no attribute {name!r}")
    from pipeline.benchmark import run

    return getattr(run, name)
