"""Hide the messages of other libraries in our command lines, and handle closed standard streams.

These functions change the whole process, so only our own command lines use them. A program that imports ``runtime``
keeps its file descriptors, warning filters and log handlers.
"""

import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class _Nowhere:
    """A redirection of the process's stderr to the null device while at least one thread is inside."""

    def __init__(self) -> None:
        self._lock, self._wanted, self._saved = threading.Lock(), 0, -1

    def enter(self) -> None:
        with self._lock:
            self._wanted += 1
            if self._wanted > 1:
                return
            if sys.stderr is not None:
                sys.stderr.flush()
            try:
                self._saved = os.dup(2)
            except OSError:  # closed: nothing to hide
                self._saved = -1
                return
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)

    def leave(self) -> None:
        with self._lock:
            self._wanted -= 1
            if self._wanted == 0 and self._saved >= 0:
                os.dup2(self._saved, 2)
                os.close(self._saved)


_nowhere = _Nowhere()


@contextmanager
def native_stderr_hidden() -> Iterator[None]:
    """Discard what C++ code writes to the process's stderr; errors are still raised as exceptions.

    Several threads may be inside at once: the first to enter redirects the descriptor, the last to leave restores it.
    """
    _nowhere.enter()
    try:
        yield
    finally:
        _nowhere.leave()


@contextmanager
def native_stderr_hidden_throughout() -> Iterator[None]:
    """Discard what C code (libtiff, LiteRT …) prints during a whole command; ``sys.stderr`` still works."""
    if sys.stderr is None or sys.stderr is not sys.__stderr__:  # redirected within Python: leave it alone
        yield
        return
    shown = os.dup(2)
    with native_stderr_hidden(), os.fdopen(shown, "w", buffering=1, errors="backslashreplace") as stream:
        sys.stderr = stream
        try:
            yield
        finally:
            sys.stderr = sys.__stderr__


@contextmanager
def quiet_command() -> Iterator[None]:
    """Show only what the command itself prints: no messages of C code, Python warnings or Pillow log lines."""
    import logging

    handler = logging.NullHandler()  # without a handler, Python prints what Pillow logs about odd TIFF files
    logger = logging.getLogger("PIL")
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings(), native_stderr_hidden_throughout():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)


class _ClosedOutput(io.TextIOBase):
    """A stand-in for a closed stdout: a command whose output would be lost fails with a message."""

    def write(self, _text: str) -> int:
        raise OSError("standard output is closed, so results cannot be shown: redirect it to a file or /dev/null")


def open_closed_streams() -> None:
    """Open the null device for each standard stream that is closed (``2>&-``, pythonw).

    Otherwise a file opened later would get the closed stream's descriptor, and C code that prints would write to it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = _ClosedOutput()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
