"""The device under test, a process of ``serve``, with a record of its output, memory, CPU time and HTTP answers."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

EVERY_S = 1.0
TIMEOUT_S = 20.0
TICKS = os.sysconf("SC_CLK_TCK")
PAGES = ("/", "/api/state", "/frame.jpg")


class Line(NamedTuple):
    """A line of output, and the time of its arrival on the monotonic clock."""

    time_s: float
    text: str


class Sample(NamedTuple):
    """A measurement of the process and its children.

    Attributes:
        family: resident memory in bytes.
        busy_s: CPU time so far in seconds.
    """

    time_s: float
    family: int
    busy_s: float


class Request(NamedTuple):
    """A request to the page: its HTTP status, or 0 and the reason if there was no answer."""

    time_s: float
    path: str
    status: int
    reason: str = ""


class Device:
    """A process whose output is recorded, and whose memory and page are checked every second.

    Args:
        arguments: of the runtime's command line.
        clock: the file that ``jump`` reads.
        environment: additional environment variables.
    """

    def __init__(self, arguments: list[str], clock: Path, environment: dict[str, str]) -> None:
        self.events, self.said = list[Line](), list[Line]()
        self.samples, self.requests = list[Sample](), list[Request]()
        self.started_s = time.monotonic()
        self._port, self._is_ending = 0, False
        command = [sys.executable, "-m", "docs.figures.soak.jump", str(clock), *arguments]
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | environment,
        )  # fmt: skip
        jobs = [(self._read, (self.process.stdout, self.events)), (self._read, (self.process.stderr, self.said))]
        self._threads = [threading.Thread(target=run, args=given, daemon=True) for run, given in jobs]
        self._threads.append(threading.Thread(target=self._look, daemon=True))
        for thread in self._threads:
            thread.start()

    def end(self, number: int) -> int:
        """Send a signal, wait until all output is read, and return the exit status."""
        self._is_ending = True
        self.process.send_signal(number)
        status = self.process.wait(60)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        return status

    def has_said(self, text: str, since_s: float) -> bool:
        """Return whether a line on stderr since ``since_s`` contains ``text``."""
        return any(text in line.text for line in list(self.said) if line.time_s >= since_s)

    def _read(self, stream: Any, lines: list[Line]) -> None:
        for text in stream:
            lines.append(Line(time.monotonic(), text.rstrip("\n")))
            if not self._port and text.startswith("serve: http://"):
                self._port = int(text.split(":")[3].partition("/")[0])

    def _look(self) -> None:
        while self.process.poll() is None:
            sample = _sample(self.process.pid)
            if sample:
                self.samples.append(sample)
            for path in ("/health", *PAGES) if self._port else ():
                self.requests.append(self._get(path))
            time.sleep(EVERY_S)

    def _get(self, path: str) -> Request:
        now = time.monotonic()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=TIMEOUT_S) as answer:
                content = answer.read()
                if path == "/api/state":
                    json.loads(content)
                return Request(now, path, answer.status)
        except urllib.error.HTTPError as error:
            return Request(now, path, error.code)
        except (OSError, ValueError) as error:
            return Request(now, path, 200 if self._is_ending else 0, str(error))


def _sample(pid: int) -> Sample | None:
    """Measure a process and its children; ``None`` if it has ended."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        family = sum(map(_resident, [pid, *children]))
        return Sample(time.monotonic(), family, _busy_s(pid) + sum(map(_busy_s, children)))
    except (OSError, IndexError, ValueError):
        return None


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _busy_s(pid: int) -> float:
    """Return the CPU time in seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS
