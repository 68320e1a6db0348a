"""The wheels that a device needs: pinned by the lock file, downloaded for the device's Python and processor."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline import artifacts
from pipeline.errors import BundleBuildError
from runtime.text import say

ROOT = Path(__file__).parents[3]
LOCK = ROOT / ".ci" / "constraints.txt"
GLIBC = {"3.11": 36, "3.12": 39, "3.13": 41}
"""Python -> minor version of glibc 2 in the systems that ship it: Debian 12, Ubuntu 24.04, Debian 13."""
OLDEST_GLIBC = 17
EPOCH = "315532800"
"""1980, the earliest time in a ZIP archive. With the time of the build, every wheel would have other bytes."""


@dataclass(frozen=True)
class Target:
    """The system on which the bundle is installed.

    Attributes:
        python: its Python version, such as ``3.11``.
        machine: its processor as ``uname -m`` prints it, ``aarch64`` or ``x86_64``.
    """

    python: str
    machine: str

    @property
    def tag(self) -> str:
        """The target's name in file names, such as ``aarch64-py311``."""
        return f"{self.machine}-py{self.python.replace('.', '')}"

    @property
    def platforms(self) -> list[str]:
        """The platform tags of the wheels that run there, the newest glibc first."""
        newest = GLIBC[self.python]
        return [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, OLDEST_GLIBC - 1, -1)] + [
            f"manylinux2014_{self.machine}"
        ]

    def wants(self, marker: Marker | None, extra: str = "") -> bool:
        """Return whether a requirement with this marker applies there; pip would evaluate it for this machine."""
        there = {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "platform_machine": self.machine,
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
            "extra": extra,
        }
        return marker is None or marker.evaluate(there)


def build_runtime_wheel(folder: Path) -> Path:
    """Build this project's wheel with only ``runtime`` into ``folder``; the same sources give the same bytes.

    Raises:
        BundleBuildError: the sources are missing, or the build fails.
    """
    if not (ROOT / "pyproject.toml").exists():
        raise BundleBuildError(f"{ROOT}: no pyproject.toml: run the command from a clone of the repository")
    with tempfile.TemporaryDirectory() as name:
        # A copy, because setuptools would also pack what an earlier build left in build/.
        for source in (ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE"):
            shutil.copy(source, name)
        shutil.copytree(ROOT / "runtime", Path(name, "runtime"), ignore=shutil.ignore_patterns("__pycache__"))
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), name)
    return next(folder.glob("edgecnn-*.whl"))


def lock(extras: list[str], target: Target) -> str:
    """Return the requirements of ``edgecnn`` with ``extras`` on a target, pinned and with hashes, in pip's format.

    Raises:
        BundleBuildError: the lock file lacks a package.
    """
    pins = _pins(target)
    names = sorted(_closure(extras, target))
    lost = [name for name in names if name not in pins]
    if lost:
        raise BundleBuildError(f"{LOCK} does not pin {', '.join(lost)}: add it to pyproject.toml and lock again")
    return "".join(pins[name] for name in names)


def fetch(requirements: str, target: Target, folder: Path) -> None:
    """Download the wheels of pinned requirements, and of pip, which installs them, into ``folder``.

    Raises:
        BundleBuildError: a wheel is not available for the target; pip has printed the reason.
    """
    say(f"downloading the packages for Python {target.python} on {target.machine}")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements + _pins(target)["pip"])
        file.flush()
        tags = [flag for platform in target.platforms for flag in ("--platform", platform)]
        arguments = (
            "--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp",
            f"--python-version={target.python}", *tags, "--dest", str(folder), "--requirement", file.name,
        )  # fmt: skip
        try:
            _pip("download", *arguments)
        except BundleBuildError as error:
            raise BundleBuildError(
                f"no network to PyPI, or no such wheels for Python {target.python} on {target.machine}? {error}; "
                "--no-wheels packs a bundle without them"
            ) from error


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-P", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH}, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise BundleBuildError(f"pip {arguments[0]} failed (exit status {done.returncode}); its message is above")


def _pins(target: Target) -> dict[str, str]:
    """Return package -> its line for pip, for the packages that the lock file has for the target."""
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", " ")
    pins: dict[str, str] = {}
    for line in text.splitlines():
        stated, *hashes = re.split(r"\s+--hash=", line.strip())
        requirement = Requirement(stated)
        if target.wants(requirement.marker):
            listed = "".join(f" \\\n    --hash={digest.strip()}" for digest in hashes)
            pins[canonicalize_name(requirement.name)] = f"{requirement.name}{requirement.specifier}{listed}\n"
    return pins


def _closure(extras: list[str], target: Target) -> set[str]:
    """Return the packages that ``edgecnn`` with ``extras`` requires, directly and indirectly."""
    found: set[str] = set()
    waiting = [("edgecnn", extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        for text in _requires(name):
            requirement = Requirement(text)
            needed = canonicalize_name(requirement.name)
            if needed != "edgecnn" and needed not in found and target.wants(requirement.marker, extra):
                found.add(needed)
                waiting += [(needed, further) for further in ("", *requirement.extras)]
    return found


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError as error:
        raise BundleBuildError(f"{name} is not installed here, so its requirements are unknown: make env") from error


def hash_line(wheel: Path) -> str:
    """Return the requirement with the hash of this wheel, so that pip installs no other."""
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{artifacts.sha256(wheel.read_bytes())}\n"
