"""Programs for arm64 on this machine: qemu-user, named to the kernel for as long as the tests run."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

FORMAT = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
"""How qemu-user-static would have a program for arm64 recognized, and by which interpreter it is run."""

HOLD = """\
trap '' INT
mount -t binfmt_misc binfmt /mnt
printf %s "$ENTRY" > /mnt/register
echo registered
cat
echo -1 > "/mnt/$NAME"
"""
"""Registered under a name of its own until its stdin ends, as it does when the tests are killed; the mount, which is
private to this shell, keeps newer kernels from forgetting the entry."""


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """Let the kernel run programs for arm64, in any chroot (flag F: the interpreter is opened now).

    Raises:
        RuntimeError: the kernel does not allow it.
    """
    name = f"edgecnn-aarch64-{os.getpid()}"
    entry = re.sub(r"^:[^:]*:", f":{name}:", FORMAT.read_text(encoding="utf-8").strip())
    hold = subprocess.Popen(
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-euc", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"NAME": name, "ENTRY": entry},
    )
    try:
        if not hold.stdout.readline():
            raise RuntimeError(f"this kernel takes no interpreter for arm64 programs: {hold.stderr.read().strip()}")
        yield
    finally:
        hold.communicate()
