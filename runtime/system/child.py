"""Start Python child processes that find this package, and describe how they died."""

import os
import signal
import sys


def interpreter() -> tuple[str, ...]:
    """Return the first words of a Python command that imports no module from the current folder.

    Use it with ``environment()``, which contains the path of this package.
    """
    return (sys.executable, "-P", "-s") if sys.flags.no_user_site else (sys.executable, "-P")


def environment() -> dict[str, str]:
    """Return this process's environment, with ``sys.path`` as ``PYTHONPATH`` so that a copied ``runtime`` is found.

    Python's own variables are left out if this process ignores them (``-E``, ``-I``).
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not (sys.flags.ignore_environment and name.startswith("PYTHON"))
    }
    return inherited | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def death(number: int, install: str) -> str:
    """Describe the signal that killed a child, with a remedy.

    Args:
        number: of the signal.
        install: pip command that installs what the child ran; may be empty.
    """
    reinstall = install.replace("install", "install --force-reinstall", 1)
    another = f"install another version: {reinstall}" if install else "run doctor without a model file"
    if number == signal.SIGILL:
        return f"dies of an illegal instruction: it was built for a newer processor; {another}"
    if number == signal.SIGKILL:
        return "was killed, most likely because memory ran out: close other programs or add swap"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return f"dies of {name}: its files may be damaged; {another}"
