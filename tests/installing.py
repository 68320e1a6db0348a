"""Helpers for the tests of ``install.sh``: run it without a network, and examine the result."""

import compileall
import hashlib
import json
import os
import platform
import py_compile
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile

import pytest

from pipeline.deploy.bundle import Settings, bundle
from pipeline.deploy.bundle.sign import sign
from pipeline.deploy.bundle.wheels import GLIBC, Target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
HERE = Target(PYTHON, platform.machine())
LINUX_ONLY = pytest.mark.skipif(
    PYTHON not in GLIBC or sys.platform != "linux" or not shutil.which("flock"), reason="a bundle is for Linux"
)
OPENSSL, SHELLCHECK, SYSTEMD = map(shutil.which, ("openssl", "shellcheck", "systemd-analyze"))
NOT_EASY = 'it\'s "$HOME" $(touch x) `y` & * here; \\'
"""A folder's name in which a shell could see much."""
MADE = ".installed-by-edgecnn"
STEPS = (
    "copying the bundle",
    "checking every file of the bundle",
    "making a virtual environment",
    "installing the packages",
    "replaying the images that the models carry",
    "switching to",
)


def unpacked(archive, folder):
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def command(folder, prefix, *arguments):
    return [str(folder / "install.sh"), "--prefix", str(prefix), *map(str, arguments)]


def install(folder, prefix, *arguments, **environment):
    """Run a bundle's ``install.sh`` without a network."""
    return run(command(folder, prefix, *arguments), **environment)


def run(arguments, cwd=None, without=(), **environment):
    """Run a command without a network, with additional environment variables, and ``without`` others."""
    blocked = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    variables = {name: value for name, value in (os.environ | blocked | environment).items() if name not in without}
    return subprocess.run(
        list(map(str, arguments)), cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=300
    )


def answering(prefix):
    """The name of the version that ``current`` links to; checks that it classifies."""
    model = prefix / "current/models/model_int8.onnx"
    subprocess.run([prefix / "current/bin/python", "-I", "-m", "runtime", "verify", model], check=True, stdout=-3)
    return json.loads((prefix / "current/bundle.json").read_text())["name"]


def versions(prefix):
    return sorted(path.name.split("-")[0] for path in (prefix / "versions").iterdir())


def copy(folder, tmp_path, name="copy"):
    return shutil.copytree(folder, tmp_path / name, symlinks=True)


def sum_up(folder):
    """Write ``SHA256SUMS`` again, as an attacker without the key would."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def external(folder):
    """Fill a folder with files that install.sh did not make; return a function that checks that they are unchanged."""
    (folder / "thesis").mkdir(parents=True)
    (folder / "thesis/chapter").write_text("precious")
    (folder / "file").write_text("precious")
    (folder / "old-0.1.0-0123456789ab").mkdir()
    (folder / "old-0.1.0-0123456789ab/before").touch()
    (folder / "link").symlink_to("thesis")
    (folder / "a\nb").mkdir()
    (folder / "..data").mkdir()
    names = {path.name for path in folder.iterdir()}

    def is_whole():
        assert names <= {path.name for path in folder.iterdir()}
        assert (folder / "thesis/chapter").read_text() == (folder / "file").read_text() == "precious"
        return True

    return is_whole


def compile_pip(wheels, scratch):
    """Put what Python compiles of pip into its wheel: a third of an installation."""
    (wheel,) = wheels.glob("pip-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch)  # noqa: S202 - pip
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert compileall.compile_dir(scratch / "pip", quiet=2, legacy=True, invalidation_mode=unchecked)
    wheel.unlink()
    shutil.make_archive(wheel, "zip", scratch)
    wheel.with_name(f"{wheel.name}.zip").rename(wheel)


def kill_at(folder, prefix, step):
    with subprocess.Popen(
        command(folder, prefix), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        reached = next((line for line in process.stdout if line.startswith(step)), None)
        os.killpg(process.pid, signal.SIGKILL)
    assert reached


def signed_without_version(reference, key, tmp_path):
    """A signed bundle without a version, as built before bundles had versions."""
    folder = unpacked(bundle(reference, tmp_path, Settings("bare", HERE, wheels=False)), tmp_path)
    sign(folder, key)
    return folder


def forged(folder, tmp_path):
    """A changed bundle with a matching ``SHA256SUMS``."""
    path = copy(folder, tmp_path, "forged")
    (path / "edgecnn-watch.service").write_text("[Service]\n")
    sum_up(path)
    return path
