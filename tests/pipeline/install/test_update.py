"""Updates with ``install.sh``: one version always works, whatever interrupts the update."""

import fcntl
import json
import os
import shutil
import signal
import subprocess

import pytest
from PIL import Image

from installing import LINUX_ONLY, STEPS, answering, copy, install, kill_at, sum_up, versions

pytestmark = [pytest.mark.slow, LINUX_ONLY]


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


def test_nothing_is_deleted_before_the_new_version_answers(bundles, installed, tmp_path):
    kill_at(bundles["new"], installed, STEPS[3])
    left = sorted(path.name for path in (installed / "versions").iterdir())
    assert len(left) == 2
    damaged = copy(bundles["new"], tmp_path)
    with (damaged / "models/model_int8.onnx").open("ab") as file:
        file.write(b"\0")
    assert install(damaged, installed).returncode == 1
    assert sorted(path.name for path in (installed / "versions").iterdir()) == left
    assert install(bundles["new"], installed).returncode == 0
    assert versions(installed) == ["new", "old"]


def test_killed_at_any_step_the_old_version_answers_and_the_next_run_succeeds(bundles, installed):
    for step in STEPS:
        kill_at(bundles["new"], installed, step)
        assert answering(installed) in (("old", "new") if step == STEPS[-1] else ("old",))
    done = install(bundles["new"], installed)
    assert done.returncode == 0, done.stderr
    assert (answering(installed), versions(installed)) == ("new", ["new", "old"])


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


def test_a_model_that_does_not_work_here_is_not_switched_to(bundles, installed, tmp_path):
    folder = copy(bundles["plain"], tmp_path)
    card = json.loads((folder / "bundle.json").read_text()) | {"artifacts": ["manifest.json"]}
    (folder / "bundle.json").write_text(json.dumps(card, indent=2))
    sum_up(folder)
    done = install(folder, installed)
    assert done.returncode == 1
    assert "FAILED at: replaying the images that the models carry\nCurrent version: versions/old" in done.stderr
    assert answering(installed) == "old"


def test_two_at_once_do_not_get_in_each_other_s_way(bundles, installed):
    with (installed / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = install(bundles["new"], installed)
    assert done.returncode == 1
    assert "another install" in done.stderr


def test_where_fewer_known_photos_are_right_the_version_before_stays(bundles, installed, reference, tmp_path):
    folder = copy(bundles["plain"], tmp_path)
    card = json.loads((folder / "bundle.json").read_text())
    labels = json.loads((reference / "samples.json").read_text())
    name = labels["class_names"][labels["test"]["labels"][0]]
    (folder / "acceptance" / name).mkdir(parents=True)
    with Image.open(reference / "test.webp") as sheet:
        sheet.crop((0, 0, 32, 32)).save(folder / "acceptance" / name / "0001.png")
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  acceptance/{name}/0001.png\n")
    for right, status in ((2, 1), (1, 0)):
        card["acceptance"] = {"photos": 1, "right": {"model_int8.onnx": right}}
        (folder / "bundle.json").write_text(json.dumps(card, indent=2))
        sum_up(folder)
        done = install(folder, installed)
        assert done.returncode == status, done.stderr
        assert f"model_int8.onnx: 1 of 1 photo classified correctly, expected at least {right}" in done.stdout
        assert answering(installed) == ("old" if status else "plain")
        assert ("fewer photos are classified correctly here" in done.stderr) == bool(status)
        assert versions(installed) == (["old"] if status else ["old", "plain"])
