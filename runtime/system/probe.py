"""Run a command in a child process and report how it ended, even if it crashed."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from runtime.system.child import death, environment

PROBE_LIMIT_S = 120


@dataclass(frozen=True)
class ProbeResult:
    """Whether a part of the system works.

    Attributes:
        works: whether it does.
        says: its version or result, or what went wrong and a remedy.
        absent: whether it is only not installed.
    """

    works: bool
    says: str
    absent: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name; ``absent`` only if it is true."""
        return {"works": self.works, **({"absent": True} if self.absent else {}), "says": self.says}


def probe(command: list[str], install: str = "") -> ProbeResult:
    """Run a command and report the result.

    Args:
        command: the command line.
        install: pip command that installs what the command tests; may be empty.

    Returns:
        Whether its exit status is 0; its last line, or what went wrong and a remedy.
    """
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter on our own code
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_LIMIT_S,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired:
        return ProbeResult(works=False, says=f"no answer within {PROBE_LIMIT_S} s")
    last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
    if done.returncode == 0:
        return ProbeResult(works=True, says=done.stdout.strip().splitlines()[-1])
    if done.returncode < 0:
        return ProbeResult(works=False, says=death(-done.returncode, install))
    if "ModuleNotFoundError" in last and install:
        return ProbeResult(works=False, says=f"not installed: {install}{word_size()}")
    return ProbeResult(works=False, says=last.removeprefix("error: "))


def word_size() -> str:
    """Return an addition to a message about a missing engine: empty, or that 32-bit Python is not supported."""
    if sys.maxsize > 2**32:
        return ""
    return "; this Python is 32-bit, for which no engine has wheels: use a 64-bit Raspberry Pi OS"
