"""``Worker``: the benchmark's side of a contender's worker process."""

import json
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runtime.benchmark.timed_model import Facts
from runtime.system.child import death, environment

ANSWER_S = 300
"""Time limit of an answer in seconds."""


class WorkerError(Exception):
    """A contender failed; the message is the reason that its row shows."""


@dataclass(frozen=True, kw_only=True)
class Startup(Facts):
    """The start of a contender's process, and what its model states.

    Attributes:
        load_ms, first_result_ms: milliseconds until the model is loaded, and until its first result.
        cold_start_ms: milliseconds from the start of the process to the report after the first result.
        peak_memory_bytes: peak resident memory.
    """

    load_ms: float
    first_result_ms: float
    cold_start_ms: float
    peak_memory_bytes: int


class Worker:
    """The process of one contender, started and ready.

    Attributes:
        startup: how it started.

    Raises:
        WorkerError: it failed to start.
    """

    def __init__(self, command: Sequence[str], install: str = "") -> None:
        self._install, self._late = install, False
        start = time.perf_counter()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter on our own code
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment(),
        )
        self._questions: Any = self._process.stdin
        self._answers: Any = self._process.stdout
        figures = self._answer()
        self.startup = Startup(**figures, cold_start_ms=(time.perf_counter() - start) * 1e3)

    def ask(self, call: str, **arguments: Any) -> Any:
        """Call a method of the worker's ``TimedModel``, and return its result.

        Raises:
            WorkerError: it failed, died, or gave no answer within ``ANSWER_S``.
        """
        try:
            print(json.dumps([call, arguments]), file=self._questions, flush=True)
        except OSError:
            raise WorkerError(self._end()) from None
        return self._answer()[0]

    def close(self) -> None:
        """Kill the process, and wait for its end."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> Any:
        timer = threading.Timer(ANSWER_S, self._give_up)
        timer.start()
        try:
            line = self._answers.readline()
        finally:
            timer.cancel()
        if not line:
            raise WorkerError(self._end())
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            self.close()
            raise WorkerError(answer["error"])
        return answer

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

    def _end(self) -> str:
        self._process.communicate()
        status = self._process.returncode
        if self._late:
            return f"no answer within {ANSWER_S} s"
        return death(-status, self._install) if status < 0 else f"ended with status {status}"
