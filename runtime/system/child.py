"""Child processes: where they find this package, and how they end."""

import os
import signal
import sys


def interpreter() -> tuple[str, ...]:
    """The beginning of a Python command that runs no file of the current folder, whoever wrote it.

    To be run with ``environment()``, which says where this package is.
    """
    return (sys.executable, "-P", "-s") if sys.flags.no_user_site else (sys.executable, "-P")


def environment() -> dict[str, str]:
    """This process's, with its search path: a folder copied into a project is found from wherever the child runs.

    Python's own variables are left out where this process was told to ignore them (``-E``, ``-I``).
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not (sys.flags.ignore_environment and name.startswith("PYTHON"))
    }
    return inherited | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def death(number: int, install: str) -> str:
    """A sentence for the signal that killed a child, with a remedy; ``install`` is a command of pip's, if any."""
    reinstall = install.replace("install", "install --force-reinstall", 1)
    another = f"install another version: {reinstall}" if install else "run doctor alone"
    if number == signal.SIGILL:
        return f"dies of an illegal instruction: it was built for a newer processor; {another}"
    if number == signal.SIGKILL:
        return "was killed, most likely for want of memory: close other programs or add swap"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"dies of {name}: its files may be damaged; {another}"
