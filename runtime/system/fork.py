"""Guard against models loaded before a fork: in the child they may wait forever for the parent's threads."""

import os
from collections.abc import Callable
from typing import TypeVar

from runtime.errors import ForkedProcessError

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_forks = 0
"""How many forks lie between the process that imported this module and the present one."""


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - a number a process; asking the system for its own costs as much as all the rest
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class _State:
    """What holds for one process: an entry for each thread that is inside, and whether entering would hang."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.forks, self.hangs, self.inside = _forks, hangs, list[None]()


class ForkGuard:
    """A room that no thread may enter in a child process which was forked while another thread was in it.

    Args:
        remedy: what to do instead, for the message.

    Raises:
        ForkedProcessError: on entering, where it would hang.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy, self._state = remedy, _State()

    def __enter__(self) -> None:
        self.enter().append(None)

    def __exit__(self, *_: object) -> None:
        self._state.inside.pop()

    def enter(self) -> list[None]:
        """Check that it may be entered, and return the list that gets an entry for as long as a thread is inside."""
        state = self._state
        if state.forks != _forks:
            # Nobody changes the parent's state here, so threads that come here at once find the same.
            state = self._state = _State(hangs=state.hangs or bool(state.inside))
        if state.hangs:
            raise ForkedProcessError(
                "this process was forked while another thread used the engine, and would wait for that thread for "
                f"ever: {self._remedy}"
            )
        return state.inside

    def occupy(self) -> None:
        """Have a thread inside from now on, as engines do that start threads of their own."""
        self._state.inside.append(None)


def guarded(run: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
    """``run``, which in a forked child is refused if a thread of the parent was in it."""
    enter = ForkGuard("load the model in this process, or start processes by multiprocessing's 'spawn'").enter

    def guarded_run(argument: Argument) -> Result:
        inside = enter()
        inside.append(None)
        try:
            return run(argument)
        finally:
            inside.pop()

    return guarded_run
