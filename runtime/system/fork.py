"""Refuse to run a model that was in use when the process was forked: it would wait forever for the parent's threads."""

import os
from collections.abc import Callable
from typing import TypeVar

from runtime.errors import ForkedProcessError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_forks = 0
"""Number of forks between the process that imported this module and the present process."""


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - one counter per process; os.getpid() would double the cost of a check
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class _State:
    """State of a guard in one process: one entry per thread that is inside, and whether entering would hang."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.forks, self.hangs, self.inside = _forks, hangs, list[None]()


class ForkGuard:
    """A context manager that raises an error in a child process forked while another thread was inside it.

    Args:
        remedy: what to do instead, for the message.

    Raises:
        ForkedProcessError: on entering, if it would hang.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy, self._state = remedy, _State()

    def __enter__(self) -> None:
        self.enter().append(None)

    def __exit__(self, *_: object) -> None:
        self._state.inside.pop()

    def enter(self) -> list[None]:
        """Check that entering is safe; return the list to which a thread adds an entry while it is inside.

        Raises:
            ForkedProcessError: it would hang.
        """
        state = self._state
        if state.forks != _forks:
            # No thread changes the parent's state here, so threads that arrive at the same time read the same.
            state = self._state = _State(hangs=state.hangs or bool(state.inside))
        if state.hangs:
            raise ForkedProcessError(
                "this process was forked while another thread used the engine, and would wait for that thread "
                f"forever: {self._remedy}"
            )
        return state.inside

    def occupy(self) -> None:
        """Count one thread as inside from now on, for engines that start threads of their own."""
        self._state.inside.append(None)


def guarded(run: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
    """Wrap ``run``: in a child process forked while a thread was in ``run``, it raises ``ForkedProcessError``."""
    enter = ForkGuard("load the model in this process, or start processes by multiprocessing's 'spawn'").enter

    def guarded_run(argument: Argument) -> Result:
        inside = enter()
        inside.append(None)
        try:
            return run(argument)
        finally:
            inside.pop()

    return guarded_run
