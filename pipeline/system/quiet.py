"""Hide the log messages of TensorFlow and the engines in this project's command line and notebook functions.

This changes process-wide state (file descriptor 2, Python's warning filters, the level of its logs), so it is done only
there, not if the modules of ``pipeline`` are used as a library in another program.
"""

import gc
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.system.stderr import native_stderr_hidden

if TYPE_CHECKING:
    from runtime import Classifier

OPTIONAL = ("IPython", "cv2", "matplotlib")
"""Modules that TensorFlow and Keras import where they are installed, for functions that no command calls."""

_enabled = threading.Event()


def in_our_command_line() -> None:
    """Mark this process as a command line of this project, which enables ``log_hidden``."""
    _enabled.set()


@contextmanager
def in_notebook() -> Iterator[None]:
    """Enable ``log_hidden`` during the block, which a person in a notebook called."""
    before = _enabled.is_set()
    _enabled.set()
    try:
        yield
    finally:
        if not before:
            _enabled.clear()


@contextmanager
def log_hidden() -> Iterator[None]:
    """Discard messages that libraries log from C++ and Python during the block; errors are still raised."""
    if not _enabled.is_set():
        yield
        return
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with native_stderr_hidden(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a notebook's sys.stderr is not the descriptor that is hidden
            yield
    finally:
        logging.disable(before)


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


@contextmanager
def _optional_modules_absent() -> Iterator[None]:
    """Let the import of each of ``OPTIONAL`` fail during the block, unless it is loaded already."""
    absent = [name for name in OPTIONAL if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type] # None makes an import raise ImportError
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def load_tensorflow(threads: int | None = None, *, start_devices: bool = True, optional_modules: bool = True) -> None:
    """Import TensorFlow and start its devices without their messages.

    Args:
        threads: number of CPU threads of its operations; ``None`` leaves the choice to TensorFlow.
        start_devices: false if something must be configured before devices start, such as training on several machines.
        optional_modules: false in a process that calls none of the functions of TensorFlow and Keras that need
            ``OPTIONAL``, whose import takes a quarter of the time.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow by itself turns it on where there is VNNI alone
    with log_hidden(), _nothing_collected(), nullcontext() if optional_modules else _optional_modules_absent():
        import tensorflow as tf

        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        if start_devices:
            tf.config.list_logical_devices()
