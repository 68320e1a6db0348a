"""Hide the log messages of TensorFlow and the engines in this project's command line.

This changes process-wide state (file descriptor 2, the level of Python's logs), so it is done only in the command line,
not if ``pipeline`` is used as a library in another program.
"""

import gc
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.system.stderr import native_stderr_hidden

if TYPE_CHECKING:
    from runtime import Classifier

_command_line = threading.Event()


def in_our_command_line() -> None:
    """Mark this process as a command line of this project, which enables ``log_hidden``."""
    _command_line.set()


@contextmanager
def log_hidden() -> Iterator[None]:
    """Discard messages that libraries log from C++ and Python during the block; errors are still raised."""
    if not _command_line.is_set():
        yield
        return
    logging.disable(logging.WARNING)
    try:
        with native_stderr_hidden():
            yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Disable garbage collection, which takes a seventh of the time of imports, as they make hardly any garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def load_classifier(path: Path) -> "Classifier":
    """Load a model file without its engine's messages."""
    from runtime import Classifier

    with log_hidden():
        return Classifier(path)


def load_tensorflow(threads: int | None = None, *, start_devices: bool = True) -> None:
    """Import TensorFlow and start its devices without their messages.

    Args:
        threads: number of CPU threads of its operations; ``None`` leaves the choice to TensorFlow.
        start_devices: false if something must be configured before devices start, such as training on several machines.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow by itself turns it on where there is VNNI alone
    with log_hidden(), _nothing_collected():
        import tensorflow as tf

        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        if start_devices:
            tf.config.list_logical_devices()
