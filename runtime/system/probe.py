"""Run a command in a child process and report how it ended, even if it crashed."""

import subprocess
import sys
from typing import Any

from runtime.system.child import death, environment

PROBE_LIMIT_S = 120


def probe(command: list[str], install: str = "") -> dict[str, Any]:
    """Run a command and report the result.

    Args:
        command: the command line.
        install: pip command that installs what the command tests; may be empty.

    Returns:
        ``works``: whether its exit status is 0; ``says``: its last line, or what went wrong and a remedy.
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
        return {"works": False, "says": f"no answer within {PROBE_LIMIT_S} s"}
    last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
    if done.returncode == 0:
        return {"works": True, "says": done.stdout.strip().splitlines()[-1]}
    if done.returncode < 0:
        return {"works": False, "says": death(-done.returncode, install)}
    if "ModuleNotFoundError" in last and install:
        return {"works": False, "says": f"not installed: {install}{word_size()}"}
    return {"works": False, "says": last.removeprefix("error: ")}


def word_size() -> str:
    """Return an addition to a message about a missing engine: empty, or that 32-bit Python is not supported."""
    if sys.maxsize > 2**32:
        return ""
    return "; this Python is 32-bit, for which no engine has wheels: use a 64-bit Raspberry Pi OS"
