"""Keeping TensorFlow's chatter off the screen."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.system.stderr import native_stderr_hidden


@contextmanager
def log_hidden() -> Iterator[None]:
    """Discard warnings that libraries log, from C++ and from Python; errors still come as exceptions."""
    logging.disable(logging.WARNING)
    try:
        with native_stderr_hidden():
            yield
    finally:
        logging.disable(logging.NOTSET)


def load_tensorflow(threads: int | None = None, *, start_devices: bool = True) -> None:
    """Import TensorFlow and start its devices without their messages.

    Args:
        threads: processor threads of its operations; ``None`` leaves the choice to TensorFlow.
        start_devices: false for what must be configured before they start, as several machines are.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with log_hidden():
        import tensorflow as tf

        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        if start_devices:
            tf.config.list_logical_devices()
