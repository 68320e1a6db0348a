"""``--exec``: run a program for each event, one at a time, without a shell."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from runtime.errors import OutputError
from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.publish.lines import PublishedEvent
from runtime.text import say

LIMIT_S = 10.0
"""Seconds after which a program is killed, with all processes in its group."""
CLOSE_S = 5.0
"""Seconds that the events still waiting at the end may take together."""
MAX_WAITING = 100
TELL_S = 60.0


class Executor:
    """A listener that runs a program for each event.

    The last two arguments are the event's kind and label; the environment variables ``EDGECNN_…`` hold all its entries.
    One program runs at a time, so events are handled in order. Its output goes to this process's stderr.

    Args:
        command: program and arguments, quoted as in a shell; no shell is used.
        limit_s: seconds after which the program is killed.
        say: called with a message for each run that fails.

    Raises:
        OutputError: the program does not exist, or the quoting is wrong.
    """

    def __init__(self, command: str, limit_s: float = LIMIT_S, say: Callable[[str], None] = say) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise OutputError(f"--exec {command!r}: {error}; quote it as for a shell") from error
        if not self._words or shutil.which(self._words[0]) is None:
            name = self._words[0] if self._words else command
            raise OutputError(f"--exec: no program {name!r}; give a program and its arguments (no shell is used)")
        self._limit_s, self._say = limit_s, say
        self._waiting: deque[PublishedEvent] = deque()
        self._changed = threading.Condition()
        self._deadline_s: float | None = None
        self._dropped, self._next_told_s = 0, float("-inf")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Do nothing: programs run for events only."""

    def on_event(self, event: Event) -> None:
        """Queue a run of the program; if ``MAX_WAITING`` events wait already, the oldest is dropped."""
        published = PublishedEvent.of(event)
        with self._changed:
            if len(self._waiting) == MAX_WAITING:
                self._waiting.popleft()
                self._dropped += 1
                self._report_dropped()
            self._waiting.append(published)
            self._changed.notify()

    def _report_dropped(self) -> None:
        """Report the number of dropped events, at most once per ``TELL_S``."""
        if self._dropped and time.monotonic() >= self._next_told_s:
            self._say(f"exec: too slow, events left out: {self._dropped}")
            self._dropped, self._next_told_s = 0, time.monotonic() + TELL_S

    def close(self) -> None:
        """Run the program for the waiting events, for at most ``CLOSE_S``."""
        with self._changed:
            self._deadline_s = time.monotonic() + CLOSE_S
            self._changed.notify()
        self._thread.join(CLOSE_S + 1)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._deadline_s is not None)
                if not self._waiting or self._left_s() <= 0:
                    self._dropped += len(self._waiting)
                    self._next_told_s = float("-inf")
                    self._report_dropped()
                    return
                event = self._waiting.popleft()
            self._run(event)

    def _left_s(self) -> float:
        return self._limit_s if self._deadline_s is None else self._deadline_s - time.monotonic()

    def _run(self, event: PublishedEvent) -> None:
        command = [*self._words, event.event, event.label]
        environment = os.environ | {f"EDGECNN_{name.upper()}": str(value) for name, value in asdict(event).items()}
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=_stderr(),
                stderr=_stderr(),
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self._say(f"exec: {shlex.join(command)}: {error}")
            return
        status = self._wait(process)
        if status != 0:
            killed = "killed, because edgecnn ends" if self._left_s() <= 0 else f"took more than {self._limit_s:g} s"
            why = killed if status is None else f"exit status {status}"
            self._say(f"exec: {shlex.join(command)}: {why}")

    def _wait(self, process: "subprocess.Popen[bytes]") -> int | None:
        """Wait for the exit status; ``None`` if the program had to be killed."""
        end = time.monotonic() + self._limit_s
        while time.monotonic() < end and self._left_s() > 0:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(min(0.2, self._limit_s))
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def _stderr() -> int:
    """Return the descriptor for a child's output: our ``sys.stderr``, which commands move away from descriptor 2."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return subprocess.DEVNULL
