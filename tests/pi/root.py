"""Debian 12 for arm64, which Raspberry Pi OS Bookworm is built from: made once, cached, copied for each board."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = "bookworm"
INCLUDE = "openssl,python3"
"""What Raspberry Pi OS Lite has of what a bundle needs; the virtual environment is made without python3-venv."""
USER = "pi:x:1000:1000::/home/pi:/bin/sh"


def build(cache: Path) -> Path:
    """The folder of the root file system, complete or absent; the first call takes minutes and says so.

    mmdebstrap resolves and unpacks with this machine's own apt and dpkg, and emulates only what configures packages;
    debootstrap emulates its whole second stage, which takes several times as long. The packages come from Debian's
    mirror and are checked by signature and digest.
    """
    root = cache / f"{SUITE}-arm64-root"
    if root.is_dir():
        return root
    print(f"\nBuilding Debian {SUITE} for arm64 in {root}, 60 MB of packages: two to ten minutes", file=sys.stderr)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="arm64-root-") as work:
        unfinished = Path(work) / "root"
        command = ["/usr/bin/unshare", "--mount", "mmdebstrap", "--mode=root", "--architectures=arm64"]
        # The kernel knows the interpreter by a name of ours, which the check for QEMU does not look for.
        command += ["--variant=apt", f"--include={INCLUDE}", "--skip=check/qemu", "--dpkgopt=force-unsafe-io"]
        _run([*command, '--aptopt=APT::Install-Recommends "false"', SUITE, str(unfinished)])
        with (unfinished / "etc/passwd").open("a", encoding="utf-8") as file:
            file.write(f"{USER}\n")
        home = unfinished / "home/pi"
        home.mkdir()
        shutil.chown(home, 1000, 1000)
        unfinished.rename(root)
    return root


def inside(root: Path, beside: str = "") -> list[str]:
    """The beginning of a command that runs in ``root`` with processes, mounts and terminals of its own, and no network.

    When it ends or is killed, its processes are killed and its mounts vanish; other processes never see the mounts.

    Args:
        root: what the command sees as /.
        beside: for sh: a program of this machine that runs meanwhile, and that the command reaches by loopback alone.
    """
    namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child"]
    enter = (
        'mount -t devpts devpts "$0/dev/pts"; ip link set lo up; exec /usr/bin/unshare --root="$0" --mount-proc "$@"'
    )
    if beside:
        enter = f"{{ {beside}; }} </dev/null >/dev/null 2>&1 & {enter}"
    return ["/usr/bin/unshare", *namespaces, "/bin/sh", "-euc", enter, str(root)]


def copy(root: Path, target: Path) -> None:
    """Copy a root file system with its owners, modes and devices."""
    _run(["cp", "--archive", "--reflink=auto", str(root), str(target)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])} … ended with status {done.returncode}:\n{done.stdout[-2000:]}")
