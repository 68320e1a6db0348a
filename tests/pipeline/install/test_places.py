"""``install.sh`` in folders that others use: it deletes and runs only its own files."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from installing import (
    LINUX_ONLY,
    MADE,
    NOT_EASY,
    STEPS,
    answering,
    command,
    copy,
    external,
    install,
    kill_at,
    run,
    versions,
)

pytestmark = [pytest.mark.slow, LINUX_ONLY]


def test_folders_that_it_did_not_make_are_never_deleted(bundles, installed):
    mine = installed / "versions/mine"
    is_whole = external(mine)
    beside = {"copy": installed / "versions/copy", "away": installed / "away", "file": installed / "versions/file"}
    shutil.copytree((installed / "current").resolve(), beside["copy"], symlinks=True)
    away_is_whole = external(beside["away"])
    (installed / "versions/linked").symlink_to(beside["away"])
    beside["file"].touch()
    with (installed / MADE).open("a") as made:  # names of what is no folder of its own below versions/
        made.write("linked\n../away\nversions/mine\n.\n..\n/\nfile\n\n")
    assert install(bundles["new"], installed).returncode == 0
    assert install(bundles["new"], installed, "--rollback").returncode == 0
    assert install(bundles["new"], installed).returncode == 0
    assert install(bundles["new"], installed, "--rollback").returncode == 0
    assert is_whole()
    assert away_is_whole()
    assert (beside["copy"] / "install.sh").exists()
    assert beside["file"].exists()


def test_below_a_prefix_that_has_versions_of_its_own_nothing_is_deleted(bundles, tmp_path):
    is_whole = external(tmp_path / "versions")
    done = install(bundles["old"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert is_whole()


def a_file(path):
    path.write_text("precious")


def a_folder(path):
    path.mkdir()


def a_link_to_a_release(path):
    (path.parent / "versions").mkdir(parents=True)
    (path.parent / "versions/release").mkdir()
    path.symlink_to("versions/release")


def a_link_to_nothing(path):
    path.symlink_to("versions/gone")


@pytest.mark.parametrize(
    "make", [a_file, a_folder, a_link_to_a_release, a_link_to_nothing], ids=lambda make: make.__name__
)
def test_a_current_of_another_program_is_not_replaced(bundles, tmp_path, make):
    make(tmp_path / "current")
    kind = os.lstat(tmp_path / "current").st_mode
    for arguments in ((), ("--rollback",)):
        done = install(bundles["old"], tmp_path, *arguments)
        assert done.returncode == 1
        assert "belongs to another program" in done.stderr
    assert os.lstat(tmp_path / "current").st_mode == kind
    assert not list((tmp_path / "versions").glob("old*"))


@pytest.mark.parametrize("path", [None, "", ":", "HERE"], ids=str)
def test_no_python_file_of_the_current_folder_is_run(bundles, installed, traps, tmp_path, path):
    variables = {} if path is None else {"PYTHONPATH": str(traps) if path == "HERE" else path}
    edgecnn = installed / "current/bin/edgecnn"
    commands = [[edgecnn, "doctor", installed / "current/models/model_int8.onnx"]]
    if path is None:
        commands += [
            [edgecnn, "tune", installed / "current/models", "--seconds", "0.2"],
            command(bundles["new"], installed), command(bundles["new"], installed, "--rollback"),
        ]  # fmt: skip
    for each in commands:
        done = run(each, cwd=traps, **variables)
        assert not (tmp_path / "ran").exists(), f"{each}: {(tmp_path / 'ran').read_text()}"
        assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_home_the_user_s_own_is_found_from_below_versions_of_others_too(bundles, tmp_path):
    shim = tmp_path / "bin/getent"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\necho 'me:x:0:0:me:{tmp_path}/home $1:/bin/sh'\n")
    shim.chmod(0o755)
    search = f"{shim.parent}{os.pathsep}{os.environ['PATH']}"
    is_whole = external(tmp_path / "versions")
    folder = copy(bundles["old"], tmp_path / "versions", f"a bundle {NOT_EASY}")
    done = run([f"./{folder.name}/install.sh"], cwd=folder.parent, without=("HOME",), PATH=search, CDPATH="/usr:/")
    assert done.returncode == 0, done.stderr
    assert is_whole()
    assert answering(tmp_path / "home $1/edgecnn") == "old"
    edgecnn = tmp_path / "home $1/edgecnn/current/bin/edgecnn"
    done = run([edgecnn, "doctor"], without=("HOME", "PATH"), PATH="/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    shim.write_text("#!/bin/sh\nexit 2\n")
    done = run([folder / "install.sh"], without=("HOME",), PATH=search)
    assert done.returncode == 1
    assert "--prefix" in done.stderr


def test_the_launcher_is_found_through_links_and_says_its_name(installed, tmp_path):
    (tmp_path / "edge").symlink_to(installed / "current/bin/edgecnn")
    done = run([tmp_path / "edge", "classify", "--help"])
    assert done.returncode == 0
    assert done.stdout.startswith("usage: edgecnn classify")


def test_what_runs_keeps_to_its_version(installed):
    watch = [installed / "current/bin/edgecnn", "stream", installed / "current/models/model_int8.onnx"]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while "onnxruntime" not in (maps := Path(f"/proc/{process.pid}/maps").read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.stdin.close()
        process.wait(60)
    assert f"{(installed / 'current').resolve()}/lib" in maps


@pytest.mark.parametrize("place", ["a file/prefix", "/proc/edgecnn", "with: a colon"])
def test_a_place_that_cannot_be_installed_to_is_found_before_the_work(bundles, tmp_path, place):
    (tmp_path / "a file").touch()
    done = install(bundles["old"], tmp_path / place)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_disk_that_is_too_full_is_found_before_the_work_and_leftovers_are_named(bundles, installed, tmp_path):
    kill_at(bundles["new"], installed, STEPS[2])
    shim = tmp_path / "df"
    shim.write_text("#!/bin/sh\nprintf 'Avail\\n 1000\\n'\n")
    shim.chmod(0o755)
    search = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    for folder in (bundles["old"], bundles["new"]):
        prefix = tmp_path / "prefix" if folder == bundles["old"] else installed
        done = install(folder, prefix, PATH=search)
        assert (done.returncode, done.stdout) == (1, "")
        assert "has 1000 KiB free and this version takes" in done.stderr
    assert f"interrupted installs left {installed}/versions/new" in done.stderr
    assert install(bundles["new"], installed).returncode == 0
    assert versions(installed) == ["new", "old"]
