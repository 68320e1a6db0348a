"""``install.sh`` on this machine: one version with wheels, a second without, and whatever can go wrong between them."""

import fcntl
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
from pipeline.deploy.bundle.wheels import GLIBC, Target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
HERE = Target(PYTHON, platform.machine())
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PYTHON not in GLIBC or sys.platform != "linux" or not shutil.which("flock"), reason="a bundle is for Linux"
    ),
]
OPENSSL, SHELLCHECK, SYSTEMD = map(shutil.which, ("openssl", "shellcheck", "systemd-analyze"))
STEPS = (
    "copying the bundle",
    "checking every file of the bundle",
    "making a virtual environment",
    "installing the packages",
    "replaying the images that the models carry",
    "switching to",
)


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run([OPENSSL, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path], check=True)
    command = [OPENSSL, "ec", "-in", path, "-pubout", "-out", path.with_suffix(".pub")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return path


@pytest.fixture(scope="module")
def bundles(reference, key, tmp_path_factory):
    """Unpacked: ``old`` with its wheels, ``new`` without, both signed, and ``plain``, which is not."""
    out, folders = tmp_path_factory.mktemp("bundles"), {}
    for name, wheels, sign_key in (("old", True, key), ("new", False, key), ("plain", False, None)):
        archive = bundle(reference, out, Settings(name, HERE, wheels=wheels, sign_key=sign_key))
        with tarfile.open(archive) as content:
            content.extractall(out, filter="data")
        folders[name] = out / archive.name.removesuffix(".tar.gz")
    return folders


@pytest.fixture(scope="module")
def installed(bundles, tmp_path_factory):
    """A prefix, its name not an easy one, where ``old`` is installed; every test leaves it so."""
    prefix = tmp_path_factory.mktemp("a prefix") / "it's here"
    done = install(bundles["old"], prefix)
    assert done.returncode == 0, done.stderr
    return prefix


def command(folder, prefix, *arguments):
    return [str(folder / "install.sh"), "--prefix", str(prefix), *map(str, arguments)]


def install(folder, prefix, *arguments, **environment):
    """Run a bundle's script where no network can be reached."""
    blocked = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    return subprocess.run(
        command(folder, prefix, *arguments),
        env=os.environ | blocked | environment,
        capture_output=True,
        text=True,
        check=False,
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


def test_a_second_run_changes_nothing(bundles, installed):
    before = (installed / "current").readlink()
    made = (installed / "current/pyvenv.cfg").stat().st_mtime_ns
    done = install(bundles["old"], installed)
    assert done.returncode == 0, done.stderr
    assert "was installed already" in done.stdout
    assert (installed / "current").readlink() == before
    assert (installed / "current/pyvenv.cfg").stat().st_mtime_ns == made
    assert (answering(installed), versions(installed)) == ("old", ["old"])


def test_the_installed_command_works(installed, reference, tmp_path):
    shutil.copy(reference / "test.webp", tmp_path / "photo.webp")
    edgecnn = [installed / "current/bin/edgecnn", "classify", installed / "current/models/model_int8.onnx"]
    done = subprocess.run([*edgecnn, tmp_path / "photo.webp"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_update_without_wheels_takes_those_of_the_version_before_and_can_be_rolled_back(bundles, installed):
    done = install(bundles["new"], installed)
    assert done.returncode == 0, done.stderr
    assert "fetching" not in done.stdout
    assert (answering(installed), versions(installed)) == ("new", ["new", "old"])
    done = subprocess.run([installed / "current/install.sh", "--rollback"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert answering(installed) == "old"
    done = install(bundles["new"], installed, "--rollback")
    assert done.returncode == 1
    assert "no version before" in done.stderr
    assert answering(installed) == "old"


def test_killed_at_any_step_the_old_version_answers_and_the_next_run_succeeds(bundles, installed):
    for step in STEPS:
        with subprocess.Popen(
            command(bundles["new"], installed), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        ) as process:  # fmt: skip
            reached = next((line for line in process.stdout if line.startswith(step)), None)
            os.killpg(process.pid, signal.SIGKILL)
        assert reached
        assert answering(installed) in (("old", "new") if step == STEPS[-1] else ("old",))
    done = install(bundles["new"], installed)
    assert done.returncode == 0, done.stderr
    assert (answering(installed), versions(installed)) == ("new", ["new", "old"])
    assert install(bundles["new"], installed, "--rollback").returncode == 0


@pytest.mark.parametrize("moved", [False, True], ids=["before it switches", "after it has switched"])
def test_killed_around_the_switch_one_of_the_two_versions_answers(bundles, installed, tmp_path, moved):
    shim = tmp_path / "mv"
    real = f'{shutil.which("mv")} "$@"' if moved else ":"
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *current) {real}; kill -9 $PPID ;; *) exec {shutil.which("mv")} "$@" ;; esac\n'
    )
    shim.chmod(0o755)
    done = install(bundles["new"], installed, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert done.returncode == -signal.SIGKILL
    assert answering(installed) == ("new" if moved else "old")
    assert install(bundles["new"], installed).returncode == 0
    assert answering(installed) == "new"
    assert install(bundles["new"], installed, "--rollback").returncode == 0
    assert answering(installed) == "old"


def test_a_tampered_bundle_is_refused_by_the_file_s_name(bundles, installed, tmp_path):
    changed = copy(bundles["new"], tmp_path, "changed")
    with (changed / "models/model_int8.onnx").open("ab") as file:
        file.write(b"\0")
    missing = copy(bundles["new"], tmp_path, "missing")
    (missing / "requirements.txt").unlink()
    added = copy(bundles["new"], tmp_path, "added")
    (added / "wheels/numpy-9-py3-none-any.whl").write_bytes(b"")
    linked = copy(bundles["new"], tmp_path, "linked")
    (linked / "models/manifest.json").unlink()
    (linked / "models/manifest.json").symlink_to(bundles["new"] / "models/manifest.json")
    for folder, name in (
        (changed, "models/model_int8.onnx"), (missing, "requirements.txt"), (added, "wheels/numpy-9-py3-none-any.whl"),
        (linked, "models/manifest.json"),
    ):  # fmt: skip
        done = install(folder, installed)
        assert done.returncode == 1
        assert name in done.stderr
        assert "FAILED at: checking every file of the bundle" in done.stderr
        assert (answering(installed), versions(installed)) == ("old", ["old"])


def test_a_key_is_asked_of_every_later_bundle(bundles, key, tmp_path):
    prefix, other = tmp_path / "prefix", tmp_path / "other.pub"
    (prefix / "versions").mkdir(parents=True)
    shutil.copy(key.with_suffix(".pub"), prefix / "key.pub")
    for folder, why in (
        (bundles["plain"], "not signed"),
        (forged(bundles["new"], tmp_path), "changed since it was signed"),
    ):
        done = install(folder, prefix)
        assert done.returncode == 1
        assert why in done.stderr
        assert not (prefix / "current").exists()
    other.write_text("another key")
    done = install(bundles["new"], prefix, "--key", other)
    assert done.returncode == 1
    assert "is another key" in done.stderr


def forged(folder, tmp_path):
    """A bundle that was changed by somebody who knows of ``SHA256SUMS``."""
    path = copy(folder, tmp_path, "forged")
    (path / "edgecnn-watch.service").write_text("[Service]\n")
    sum_up(path)
    return path


def test_a_signed_bundle_is_installed_with_its_key_and_the_key_is_kept(bundles, key, installed):
    done = install(bundles["old"], installed, "--key", key.with_suffix(".pub"))
    assert done.returncode == 0, done.stderr
    assert (installed / "key.pub").read_bytes() == key.with_suffix(".pub").read_bytes()
    assert install(bundles["plain"], installed).returncode == 1
    assert answering(installed) == "old"
    (installed / "key.pub").unlink()


def test_a_model_that_does_not_work_here_is_not_switched_to(bundles, installed, tmp_path):
    folder = copy(bundles["plain"], tmp_path)
    card = json.loads((folder / "bundle.json").read_text()) | {"artifacts": ["manifest.json"]}
    (folder / "bundle.json").write_text(json.dumps(card, indent=2))
    sum_up(folder)
    done = install(folder, installed)
    assert done.returncode == 1
    assert "FAILED at: replaying the images that the models carry\nCurrent version: versions/old" in done.stderr
    assert answering(installed) == "old"


def test_packages_that_are_not_to_be_had_are_named_and_nothing_is_switched(bundles, tmp_path):
    done = install(bundles["plain"], tmp_path / "prefix", PIP_INDEX_URL="http://127.0.0.1:9", PIP_RETRIES="0")
    assert done.returncode == 1
    assert "FAILED at: fetching packages that are not here" in done.stderr
    assert not (tmp_path / "prefix/current").exists()


def test_a_bundle_for_another_machine_is_refused_at_once(bundles, tmp_path):
    folder = copy(bundles["new"], tmp_path)
    card = (folder / "bundle.json").read_text()
    for field, value in (("python", "3.9"), ("machine", "armv7l")):
        (folder / "bundle.json").write_text(json.dumps(json.loads(card) | {field: value}, indent=2))
        done = install(folder, tmp_path / "prefix")
        assert done.returncode == 1
        assert value in done.stderr
        assert f"here is {PYTHON} {platform.machine()}" in done.stderr


def test_two_at_once_do_not_get_in_each_other_s_way(bundles, installed):
    with (installed / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = install(bundles["new"], installed)
    assert done.returncode == 1
    assert "another install" in done.stderr


def test_wrong_arguments_are_refused(bundles):
    for arguments in (["--nonsense"], ["--prefix"], ["--key"]):
        done = subprocess.run([bundles["new"] / "install.sh", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert arguments[0] in done.stderr


@pytest.mark.skipif(not SHELLCHECK, reason="shellcheck is not installed")
def test_the_script_is_clean(bundles):
    subprocess.run([SHELLCHECK, bundles["new"] / "install.sh"], check=True)


@pytest.mark.skipif(not SYSTEMD, reason="systemd is not installed")
def test_the_unit_is_one_that_systemd_takes(bundles, tmp_path):
    unit = (bundles["new"] / "edgecnn-watch.service").read_text()
    path = tmp_path / "edgecnn-watch.service"
    path.write_text(unit.replace("/opt/edgecnn/current/bin/python", sys.executable))
    done = subprocess.run([SYSTEMD, "verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
