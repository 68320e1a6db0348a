"""Keeping other libraries' chatter off the screen: what C++ code prints at start-up, what Pillow says of odd files."""

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def native_stderr_hidden() -> Iterator[None]:
    """Discard what C++ code writes to the process's stderr; errors still come as exceptions."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


class _ThisThread(threading.local):
    """Stands where a warning filter has the pattern of a module's name; matches while this thread wants silence."""

    silent = False

    def match(self, _module: str) -> bool:
        return self.silent


_this_thread = _ThisThread()
_FILTER: Any = ("ignore", None, Warning, _this_thread, 0)


@contextmanager
def warnings_hidden() -> Iterator[None]:
    """Ignore this thread's warnings. ``warnings.catch_warnings`` would swap the filters of every thread at once."""
    filters: Any = warnings.filters
    if _FILTER not in filters:
        filters.insert(0, _FILTER)
    _this_thread.silent = True
    try:
        yield
    finally:
        _this_thread.silent = False


@contextmanager
def native_stderr_hidden_throughout() -> Iterator[None]:
    """Discard what C code (libtiff …) prints during a whole command, while ``sys.stderr`` still shows.

    Moves the process's file descriptors, so it is for command lines alone.
    """
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
