"""Keeping the chatter of TensorFlow and the engines off the screen of our own command line.

It takes what belongs to the whole process (file descriptor 2, the level of Python's logs), so nothing happens where
``pipeline`` is a library in another program.
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
    """Say that this process is a command line of this project, in which ``log_hidden`` may do its work."""
    _command_line.set()


@contextmanager
def log_hidden() -> Iterator[None]:
    """Discard warnings that libraries log, from C++ and from Python; errors still come as exceptions."""
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
    """Imports make a million objects and hardly any garbage: looking for it takes a seventh of their time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def load_classifier(path: Path) -> "Classifier":
    """A model file, loaded without its engine's messages."""
    from runtime import Classifier

    with log_hidden():
        return Classifier(path)


def load_tensorflow(threads: int | None = None, *, start_devices: bool = True) -> None:
    """Import TensorFlow and start its devices without their messages.

    Args:
        threads: processor threads of its operations; ``None`` leaves the choice to TensorFlow.
        start_devices: false for what must be configured before they start, as several machines are.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with log_hidden(), _nothing_collected():
        import tensorflow as tf

        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        if start_devices:
            tf.config.list_logical_devices()
