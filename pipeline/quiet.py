"""Keeping native libraries' start-up chatter off the screen, without losing it when something fails."""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_output_hidden() -> Iterator[None]:
    """Hide what C++ code and its Python wrappers log to stderr; show it all if the block raises."""
    sys.stderr.flush()
    saved = os.dup(2)
    logging.disable(logging.WARNING)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(saved, log.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            logging.disable(logging.NOTSET)


def load_tensorflow(threads: int | None = None) -> None:
    """Import TensorFlow and start its devices without their messages.

    Args:
        threads: processor threads of its operations; ``None`` leaves the choice to TensorFlow.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with native_output_hidden():
        import tensorflow as tf

        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.config.list_logical_devices()
