"""An emulated board: a copy of the arm64 root file system, one processor, an ordinary user, no network."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pi.root import inside

PROCESSORS = {"cortex-a76": "Raspberry Pi 5", "cortex-a72": "Raspberry Pi 4"}
"""QEMU's names; the one that more is tried on comes first."""
USER = 1000
LIMIT_S = 3600


@dataclass(frozen=True)
class Board:
    """Where commands run as on a Raspberry Pi.

    Attributes:
        root: its root file system, a plain folder that may be read and written from here.
        cpu: the processor by QEMU's name.
    """

    root: Path
    cpu: str

    @property
    def home(self) -> Path:
        """The folder in which commands begin."""
        return self.root / "home" / "pi"

    def command(self, script: str, beside: str = "") -> list[str]:
        """The command that runs a script in the home folder, as a user without rights."""
        # The first process stays root's: whoever changes his user is no longer killed with his parent.
        user = f'setpriv --reuid={USER} --regid={USER} --clear-groups --no-new-privs /bin/sh -euc "$1"; exit $?'
        return [*inside(self.root, beside), "--wd=/home/pi", "/bin/sh", "-c", user, "sh", script]

    def environment(self) -> dict[str, str]:
        """The environment variables of a login, and the emulated processor."""
        path = "/usr/local/bin:/usr/bin:/bin"
        return {"QEMU_CPU": self.cpu, "PATH": path, "HOME": "/home/pi", "LANG": "C.UTF-8", "COLUMNS": "100"}

    def run(self, script: str, *, status: int | None = 0, beside: str = "") -> str:
        """Run a script; return its stdout and stderr together.

        Args:
            script: for sh.
            status: the exit status to expect; None for any.
            beside: for sh: a program of the desk that runs meanwhile, and that loopback reaches.
        """
        done = subprocess.run(
            self.command(script, beside),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LIMIT_S,
            env=self.environment(),
        )
        assert status in {None, done.returncode}, f"status {done.returncode} of {script!r}:\n{done.stdout}"
        return done.stdout

    def take(self, source: Path, name: str | None = None) -> None:
        """Copy a file or folder into the home folder, as the user's own."""
        target = self.home / (name or source.name)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
        self.own(target)

    def own(self, target: Path) -> None:
        """Give the user a file or folder that was written from here."""
        for path in [target, *target.rglob("*")]:
            shutil.chown(path, USER, USER)
