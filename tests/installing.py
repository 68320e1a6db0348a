"""What the tests of ``install.sh`` share: running it where no network can be reached, and looking at what it did."""

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile

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
    """Run a bundle's script where no network can be reached."""
    return run(command(folder, prefix, *arguments), **environment)


def run(arguments, cwd=None, without=(), **environment):
    """Run a command where no network can be reached, with and ``without`` variables of the environment."""
    blocked = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    variables = {name: value for name, value in (os.environ | blocked | environment).items() if name not in without}
    return subprocess.run(
        list(map(str, arguments)), cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=300
    )


def answering(prefix):
    """The name of the version that ``current`` is, which has to classify."""
    model = prefix / "current/models/model_int8.onnx"
    subprocess.run([prefix / "current/bin/python", "-I", "-m", "runtime", "verify", model], check=True, stdout=-3)
    return json.loads((prefix / "current/bundle.json").read_text())["name"]


def versions(prefix):
    return sorted(path.name.split("-")[0] for path in (prefix / "versions").iterdir())


def copy(folder, tmp_path, name="copy"):
    return shutil.copytree(folder, tmp_path / name, symlinks=True)


def sum_up(folder):
    """Write ``SHA256SUMS`` anew, as one would who does not have the key."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


def external(folder):
    """Fill a folder with what install.sh did not make; a function that says whether all is as it was."""
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


def kill_at(folder, prefix, step):
    with subprocess.Popen(
        command(folder, prefix), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        reached = next((line for line in process.stdout if line.startswith(step)), None)
        os.killpg(process.pid, signal.SIGKILL)
    assert reached


def signed_without_version(reference, key, tmp_path):
    """Such as were built before bundles had versions."""
    folder = unpacked(bundle(reference, tmp_path, Settings("bare", HERE, wheels=False)), tmp_path)
    sign(folder, key)
    return folder


def forged(folder, tmp_path):
    """A bundle that was changed by somebody who knows of ``SHA256SUMS``."""
    path = copy(folder, tmp_path, "forged")
    (path / "edgecnn-watch.service").write_text("[Service]\n")
    sum_up(path)
    return path
