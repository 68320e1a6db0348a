"""Train a network: settings, augmentation, batches, steps, teacher, distribution, saved state, record.

``train`` is imported on first use, so that the settings can be imported without TensorFlow.
"""

from typing import TYPE_CHECKING, Any

from pipeline.training.settings import Settings

if TYPE_CHECKING:
    from pipeline.training.run import RunOptions, train

__all__ = ["RunOptions", "Settings", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pipeline.training' has no attribute {name!r}")
    from pipeline.training import run

    return getattr(run, name)
