"""Open hostile files one after the other in a child process under limits; a crash or a timeout is an outcome too."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CHILD = Path(__file__).with_name("child.py")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Verdict:
    """The outcome of one file; ``fault`` is ``None`` if it was handled correctly."""

    outcome: str
    fault: str | None
    mebibytes: int
    peak_mebibytes: int
    seconds: float


class Sandbox:
    """Opens files in the child.

    Args:
        model: the model file that classifies the images.
        address_space: bytes that the child may take beyond what it has after start.
        limit_s: seconds for one file.
        isolated: whether it decodes as the command lines do, in children of its own.
    """

    def __init__(
        self, model: Path, address_space: int = 1 << 30, limit_s: float = 35.0, *, isolated: bool = False
    ) -> None:
        self._command = [sys.executable, str(CHILD), str(model), str(address_space), *(["isolated"] * isolated)]
        self._limit_s = limit_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def open(self, content: bytes, suffix: str = ".img") -> Verdict:
        """Let the child classify an image, or load a model file, by the suffix."""
        return self._ask(json.dumps({"suffix": suffix, "size": len(content)}).encode() + b"\n" + content)

    def open_path(self, path: Path) -> Verdict:
        """The same for an existing file."""
        return self._ask(json.dumps({"path": str(path)}).encode() + b"\n")

    def _ask(self, request: bytes) -> Verdict:
        if self._child is None:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0
            )
        child, start = self._child, time.monotonic()
        assert child.stdin
        assert child.stdout
        try:
            view = memoryview(request)
            while view:
                view = view[child.stdin.write(view) :]
            line = self._reply(child)
        except BrokenPipeError:
            line = b""
        seconds = time.monotonic() - start
        if line:
            return Verdict(**json.loads(line), seconds=seconds)
        status = child.poll() if line is not None else None
        self.__exit__()
        if line is None:
            return Verdict("hang", f"took more than {self._limit_s:g} s", 0, 0, seconds)
        status = child.returncode if status is None else status
        return Verdict("death", _death(status), 0, 0, seconds)

    def _reply(self, child: "subprocess.Popen[bytes]") -> bytes | None:
        assert child.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            # The first file also pays for the child's start.
            if not selector.select(self._limit_s + 20):
                return None
        return child.stdout.readline()


def _death(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exited with {status}"
