"""The wheels that a device needs: pinned by the lock file, fetched for the device's Python and processor."""

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

ROOT = Path(__file__).parents[3]
LOCK = ROOT / ".ci" / "constraints.txt"
GLIBC = {"3.11": 36, "3.12": 39, "3.13": 41}
"""Minor version of the C library where this Python is the system's: Debian 12, Ubuntu 24.04, Debian 13."""
OLDEST_GLIBC = 17
EPOCH = "315532800"
"""1980, the earliest time of a ZIP archive; with the time of the build no two wheels would be equal."""


@dataclass(frozen=True)
class Target:
    """Where the bundle is to be installed.

    Attributes:
        python: its Python, as ``3.11``.
        machine: its processor as ``uname -m`` has it, ``aarch64`` or ``x86_64``.
    """

    python: str
    machine: str

    @property
    def platforms(self) -> list[str]:
        """The tags of the wheels that run there, the newest C library first."""
        newest = GLIBC[self.python]
        return [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, OLDEST_GLIBC - 1, -1)] + [
            f"manylinux2014_{self.machine}"
        ]

    def wants(self, marker: Marker | None, extra: str = "") -> bool:
        """Whether a requirement with this marker holds there; pip would ask of the machine that it runs on."""
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
    """Build this project's wheel into ``folder`` with ``runtime`` alone, the same bytes each time.

    Raises:
        BundleBuildError: the sources are not there, or the build fails.
    """
    if not (ROOT / "pyproject.toml").exists():
        raise BundleBuildError(f"{ROOT}: no pyproject.toml: run the command from a clone of the repository")
    with tempfile.TemporaryDirectory() as name:
        # A copy, because setuptools would take what an earlier build left in build/.
        for source in (ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE"):
            shutil.copy(source, name)
        shutil.copytree(ROOT / "runtime", Path(name, "runtime"), ignore=shutil.ignore_patterns("__pycache__"))
        _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), name)
    return next(folder.glob("edgecnn-*.whl"))


def lock(extras: list[str], target: Target) -> str:
    """The requirements of ``edgecnn`` with ``extras`` there, pinned and with hashes, as pip reads them.

    Raises:
        BundleBuildError: something needed is not in the lock file.
    """
    pins = _pins(target)
    names = sorted(_closure(extras, target))
    lost = [name for name in names if name not in pins]
    if lost:
        raise BundleBuildError(f"{LOCK} does not pin {', '.join(lost)}: add it to pyproject.toml and lock anew")
    return "".join(pins[name] for name in names)


def fetch(requirements: str, target: Target, folder: Path) -> None:
    """Download the wheels of pinned requirements into ``folder``, and the pip that installs them.

    Raises:
        BundleBuildError: one is not to be had for the target; pip has said why.
    """
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
                "--no-wheels packs without those of others"
            ) from error


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-P", "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(  # noqa: S603 - our own interpreter
        command, env=os.environ | {"SOURCE_DATE_EPOCH": EPOCH}, stdout=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise BundleBuildError(f"pip {arguments[0]} failed (exit status {done.returncode}); its message is above")


def _pins(target: Target) -> dict[str, str]:
    """What the lock file says of each package that it has for the target, as lines for pip."""
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
    """The packages that ``edgecnn`` with ``extras`` brings, itself left out."""
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
        raise BundleBuildError(f"{name} is not installed here, so what it needs is not known: make env") from error


def hash_line(wheel: Path) -> str:
    """The requirement that lets pip install this very wheel of the project."""
    name, version = wheel.name.split("-")[:2]
    return f"{name}=={version} --hash=sha256:{artifacts.sha256(wheel.read_bytes())}\n"
