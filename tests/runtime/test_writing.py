"""Files are written atomically; an unwritable target is found before the work; leftovers are not taken for models."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from runtime import Classifier
from runtime.benchmark.contenders import find_models
from runtime.benchmark.tuning import candidates
from runtime.errors import OutputError
from runtime.system.writing import LEFTOVER, atomic_path, check_writable, clear_leftovers, write_json
from runtime.tuning import model_files

MEBIBYTE = 1 << 20


def killed_while_writing(path):
    """Leave the files of a process that is killed while it writes."""
    child = os.fork()
    if child == 0:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half a file")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def small_files(command):
    """Run a command that may write no file above 100 bytes, as on a disk that is full."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limit)


def test_a_leftover_is_no_model_and_the_next_export_clears_it(reference, tmp_path):
    shutil.copy(reference / "model_fp32.onnx", tmp_path)
    killed_while_writing(tmp_path / "model_int8.onnx")
    (leftover,) = tmp_path.glob(".*")
    assert leftover.name.startswith(LEFTOVER)
    assert list(model_files(tmp_path)) == ["model_fp32.onnx"]
    assert [path.name for path in find_models([str(tmp_path)])] == ["model_fp32.onnx"]
    assert {found.path.name for found in candidates(tmp_path, print)} == {"model_fp32.onnx"}
    assert Classifier(tmp_path).path.name == "model_fp32.onnx"
    clear_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["model_fp32.onnx"]  # noqa: PTH208 - hidden files count


def test_what_another_process_is_writing_and_what_is_not_ours_stays(tmp_path):
    (tmp_path / ".settings.json").touch()
    (tmp_path / f"{LEFTOVER}folder").mkdir()
    with atomic_path(tmp_path / "model.onnx") as temporary:
        clear_leftovers(tmp_path)
        assert temporary.exists()
        temporary.write_bytes(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {".settings.json", f"{LEFTOVER}folder", "model.onnx"}
    clear_leftovers(tmp_path / "nowhere")


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path):
    write_json(tmp_path / "there.json", {"a": 1})
    check_writable(tmp_path / "there.json")
    check_writable(tmp_path / "new.json")
    check_writable(tmp_path / "no" / "such" / "folder" / "new.json")
    assert os.listdir(tmp_path) == ["there.json"]  # noqa: PTH208 - hidden files count


def test_a_place_that_cannot_be_written_is_named_with_a_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path, says in (
        (tmp_path / "file" / "out.json", "file: not a folder"),
        (tmp_path / "folder", "folder: not a regular file"),
        (tmp_path / "pipe", "pipe: not a regular file"),
        ("/dev/full", "/dev/full: not a regular file"),
        ("/proc/out.json", "/proc: "),
    ):
        with pytest.raises(OutputError, match=says):
            check_writable(path)
    with pytest.raises(OutputError, match=r"MiB are free, .* are needed: free some space"):
        check_writable(tmp_path / "out.json", shutil.disk_usage(tmp_path).free + MEBIBYTE)

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OutputError, match=r"Read-only file system.*choose a place that can be written"):
        check_writable(tmp_path / "out.json")


@pytest.mark.parametrize("command", ["bench", "tune"])
def test_a_full_disk_is_found_before_anything_is_measured(reference, tmp_path, command):
    shutil.copy(reference / "model_fp32.onnx", tmp_path)
    out = ["--out", str(tmp_path / "bench.json")] if command == "bench" else []
    done = small_files([sys.executable, "-m", "runtime", command, str(tmp_path), *out])
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()  # no progress: nothing was begun
    assert line.startswith("error: ")
    assert "cannot be written (File too large)" in line
    assert os.listdir(tmp_path) == ["model_fp32.onnx"]  # noqa: PTH208 - hidden files count
