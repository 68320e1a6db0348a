"""Keep other libraries' noise off the screen of our command lines, and cope with closed standard streams.

Everything here changes the whole process, so it is for our own command lines. A program that imports ``runtime`` keeps
its file descriptors, warning filters and log handlers as they are.
"""

import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class _Nowhere:
    """The process's stderr, pointed at the null device while at least one thread wants that."""

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
    """Discard what C++ code writes to the process's stderr; errors still come as exceptions.

    Several threads may be inside at once: the first to enter moves the descriptor, the last to leave puts it back.
    """
    _nowhere.enter()
    try:
        yield
    finally:
        _nowhere.leave()


@contextmanager
def native_stderr_hidden_throughout() -> Iterator[None]:
    """Discard what C code (libtiff, LiteRT …) prints during a whole command, while ``sys.stderr`` still shows."""
    if sys.stderr is None or sys.stderr is not sys.__stderr__:  # redirected within Python: not ours to move
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
    """Show only what the command itself prints: no C code's messages, Python warnings or log lines of Pillow."""
    import logging

    handler = logging.NullHandler()  # without any, Python would print what Pillow logs of odd TIFF files
    logger = logging.getLogger("PIL")
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings(), native_stderr_hidden_throughout():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)


class _ClosedOutput(io.TextIOBase):
    """Stands for a closed stdout: a command whose answers would be lost says so instead of succeeding."""

    def write(self, _text: str) -> int:
        raise OSError("standard output is closed, so the answers cannot be shown: redirect it to a file or /dev/null")


def open_closed_streams() -> None:
    """Make a process usable that was started with some of its three standard streams closed (``2>&-``, pythonw).

    A file opened later would otherwise get the number of a closed one, and be written to by C code that prints.
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
