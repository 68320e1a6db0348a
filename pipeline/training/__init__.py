"""Train a network: settings, augmentation, batches, steps, teacher, distribution, kept state, record.

``train`` comes in when it is asked for, so that the settings can be read without TensorFlow.
"""

from typing import TYPE_CHECKING, Any

from pipeline.training.settings import Settings

if TYPE_CHECKING:
    from pipeline.training.run import Conduct, train

__all__ = ["Conduct", "Settings", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'pipeline.training' has no attribute {name!r}")
    from pipeline.training import run

    return getattr(run, name)
