"""``install.sh`` refuses changed and older bundles, bundles of other signers, and wrong arguments."""

import json
import os
import platform
import shutil
import stat
import subprocess
import sys

import pytest

from installing import (
    LINUX_ONLY,
    PYTHON,
    SHELLCHECK,
    SYSTEMD,
    answering,
    copy,
    forged,
    install,
    signed_without_version,
    sum_up,
    versions,
)
from pipeline.deploy.bundle.sign import sign

pytestmark = [pytest.mark.slow, LINUX_ONLY]


def test_an_older_bundle_is_refused_unless_it_is_asked_for(bundles, installed):
    assert install(bundles["new"], installed).returncode == 0
    newer = (installed / "current").readlink()
    for folder in (bundles["old"], next((installed / "versions").glob("old*"))):
        done = install(folder, installed)
        assert done.returncode == 1
        assert "bundle version 1 is older than 2" in done.stderr
        assert "--allow-downgrade" in done.stderr
        assert (installed / "current").readlink() == newer
    done = install(bundles["old"], installed, "--allow-downgrade")
    assert done.returncode == 0, done.stderr
    assert answering(installed) == "old"
    assert install(bundles["old"], installed).returncode == 0
    assert versions(installed) == ["new", "old"]


def test_where_a_key_is_asked_for_a_bundle_without_a_version_is_older(bundles, key, installed, reference, tmp_path):
    folder = signed_without_version(reference, key, tmp_path)
    assert install(bundles["new"], installed).returncode == 0
    shutil.copy(key.with_suffix(".pub"), installed / "key.pub")
    done = install(folder, installed)
    assert done.returncode == 1
    assert "bundle version 0 is older than 2" in done.stderr


HOSTILE = ("a pipe", "a device", "a sparse file", "a link")


@pytest.mark.parametrize("name", ["SHA256SUMS", "bundle.json", "requirements.txt", "wheels/more.whl"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_what_no_bundle_holds_is_refused_before_it_is_opened(bundles, tmp_path, name, kind):
    folder = copy(bundles["new"], tmp_path)
    path = folder / name
    content = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        if os.getuid():
            pytest.skip("only root can make a device")
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    elif kind == "a sparse file":
        path.write_bytes(content)
        os.truncate(path, 1 << 40)
    else:
        path.symlink_to("/dev/zero")
    done = install(folder, tmp_path / "prefix")
    assert (done.returncode, done.stdout) == (1, "")
    assert not (tmp_path / "prefix").exists()


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


def test_a_signed_bundle_is_installed_with_its_key_and_the_key_is_kept(bundles, key, installed):
    done = install(bundles["old"], installed, "--key", key.with_suffix(".pub"))
    assert done.returncode == 0, done.stderr
    assert (installed / "key.pub").read_bytes() == key.with_suffix(".pub").read_bytes()
    assert install(bundles["plain"], installed).returncode == 1
    assert answering(installed) == "old"


def test_a_key_hands_over_to_the_next_one_and_does_not_come_back(bundles, key, other_key, prefix_of_old, tmp_path):
    installed = shutil.copytree(prefix_of_old, tmp_path / "prefix", symlinks=True)

    def signed(name, by, card=(), next_key=None):
        folder = copy(bundles["new"], tmp_path, name)
        entries = json.loads((folder / "bundle.json").read_text()) | {"name": name} | dict(card)
        (folder / "bundle.json").write_text(json.dumps(entries, indent=2))
        if next_key:
            shutil.copy(next_key.with_suffix(".pub"), folder / "next-key.pub")
            with (folder / "SHA256SUMS").open("a") as sums:
                sums.write(f"{'0' * 64}  next-key.pub\n")
        sum_up(folder)
        (folder / "model.sig").unlink()
        sign(folder, by)
        return folder

    first, forged_one = signed("first", key, next_key=other_key), signed("forged", other_key, next_key=key)
    shutil.copy(key.with_suffix(".pub"), installed / "key.pub")
    assert "not signed with the key" in install(forged_one, installed).stderr
    assert (installed / "key.pub").read_bytes() == key.with_suffix(".pub").read_bytes()
    done = install(first, installed)
    assert done.returncode == 0, done.stderr
    assert "signed by the next key" in done.stdout
    assert (installed / "key.pub").read_bytes() == other_key.with_suffix(".pub").read_bytes()
    again = install(first, installed)
    assert (again.returncode, "was installed already" in again.stdout) == (0, True), again.stderr
    stale = install(bundles["new"], installed)
    assert (stale.returncode, "not signed with the key" in stale.stderr) == (1, True)
    done = install(signed("second", other_key), installed)
    assert done.returncode == 0, done.stderr
    assert (installed / "key.pub").read_bytes() == other_key.with_suffix(".pub").read_bytes()
    assert answering(installed) == "second"


def test_a_version_whose_files_were_damaged_since_is_named(bundles, prefix_of_old, tmp_path):
    prefix = shutil.copytree(prefix_of_old, tmp_path / "prefix", symlinks=True)
    model = prefix / "current/models/model_int8.onnx"
    model.write_bytes(model.read_bytes()[:1000])
    done = install(bundles["old"], prefix)
    assert done.returncode == 1
    assert f"delete {(prefix / 'current').resolve()} and install again" in done.stderr


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
        flags = f"--python {PYTHON} --machine {platform.machine()}"
        assert f'make bundle FLAGS="{flags}"' in done.stderr
        assert f"python -m pipeline bundle artifacts/photos {flags}" in done.stderr


def test_wrong_arguments_are_refused(bundles):
    for arguments in (["--nonsense"], ["--prefix"], ["--key"], ["--prefix", ""], ["--key", ""]):
        done = subprocess.run([bundles["new"] / "install.sh", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert arguments[0] in done.stderr


@pytest.mark.skipif(not SHELLCHECK, reason="shellcheck is not installed")
def test_the_script_is_clean(bundles):
    subprocess.run([SHELLCHECK, bundles["new"] / "install.sh"], check=True)


@pytest.mark.skipif(not SYSTEMD, reason="systemd is not installed")
@pytest.mark.parametrize("name", ["edgecnn-serve.service", "edgecnn-watch.service"])
def test_the_units_are_ones_that_systemd_takes(name, bundles, tmp_path):
    unit = (bundles["new"] / name).read_text()
    path = tmp_path / name
    path.write_text(unit.replace("/opt/edgecnn/current/bin/edgecnn", sys.executable))
    done = subprocess.run([SYSTEMD, "verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
