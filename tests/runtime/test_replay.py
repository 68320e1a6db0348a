"""Model files that crash their engine give an error line in ``verify`` and ``doctor``."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import runtime
from called import call
from runtime import BackendUnavailableError, ModelDigestError, ModelFileNotFoundError, ModelFormatError, replay
from runtime.replay import replay_in_child

DEATHS = {
    "aborts": ("os.abort()", "dies of SIGABRT when it loads or runs this file"),
    "reads outside its memory": ("os.kill(os.getpid(), 11)", "dies of SIGSEGV when"),
    "takes all memory": ("os.kill(os.getpid(), 9)", "was killed, most likely because memory ran out"),
    "is for a newer processor": ("os.kill(os.getpid(), 4)", "illegal instruction.*pip install --force-reinstall 'onnx"),
    "leaves": ("os._exit(3)", "ends with status 3"),
    "finds no memory": ("raise MemoryError", "needs more memory than there is"),
    "waits for ever": ("time.sleep(600)", "no answer within 2 s"),
    "cannot be imported": ("raise ImportError('no libgomp')", "cannot be imported .no libgomp"),
}
"""What an engine does when it is loaded, and what is said of it."""


@pytest.fixture
def dying(tmp_path, monkeypatch):
    """A function that makes ONNX Runtime execute some code in every process started from now on."""

    def write(what):
        (tmp_path / "engine").mkdir()
        (tmp_path / "engine" / "onnxruntime.py").write_text(f"import os, time\nprint('chatter')\n{what}\n")
        monkeypatch.setattr(sys, "path", [str(tmp_path / "engine"), *sys.path])
        root = str(Path(runtime.__file__).parent.parent)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "engine"), root]))

    return write


@pytest.mark.parametrize("name", DEATHS)
def test_the_death_of_an_engine_is_a_typed_error(dying, reference, name, monkeypatch):
    monkeypatch.setattr(replay, "LIMIT_S", 2 if name == "waits for ever" else 60)
    what, says = DEATHS[name]
    dying(what)
    path = reference / "model_int8.onnx"
    with pytest.raises((ModelFormatError, runtime.ModelError, BackendUnavailableError), match=rf"{path}: .*{says}"):
        replay_in_child(path)


def test_verify_goes_on_after_a_file_that_kills_its_engine(dying, reference):
    pytest.importorskip("ai_edge_litert")
    deadly, sound = reference / "model_int8.onnx", reference / "model_fp32.tflite"
    dying("os.abort()")
    done = call("verify", deadly, sound, env=dict(os.environ))  # a start, as the engine's import is what dies
    assert done.returncode == 2
    assert done.stdout.startswith(f"PASS {sound}")
    assert done.stderr.startswith(f"error: {deadly}: onnxruntime dies of SIGABRT")
    assert len(done.stderr.splitlines()) == 1
    done = call("doctor", deadly, sound, env=dict(os.environ))
    assert done.returncode == 1
    assert "model_int8.onnx FAILS: " in done.stdout
    assert "model_fp32.tflite works: PASS" in done.stdout


def test_what_is_wrong_with_a_file_is_the_same_error_as_in_this_process(carrying, tmp_path):
    path = carrying("model_int8.onnx")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelDigestError, match="damaged or changed"):
        replay_in_child(path)
    with pytest.raises(ModelFileNotFoundError):
        replay_in_child(tmp_path / "none.onnx")
    with pytest.raises(BackendUnavailableError, match="no engine is called"):
        replay_in_child(path, engine="magic")


def test_the_child_says_what_this_process_would(carrying):
    path = carrying("model_int8.onnx")
    assert replay_in_child(path, 1) == replay.replay(runtime.Classifier(path, 1))


def test_no_name_forges_a_line(carrying):
    path = carrying("model_int8.onnx")
    forged = path.with_name("a\nPASS b\x1b[2J.onnx")
    path.rename(forged)
    for done in (call("verify", forged), call("doctor", forged)):
        lines = (done.stdout + done.stderr).splitlines()
        assert not any(line.startswith("PASS b") for line in lines)
        assert "\x1b" not in done.stdout + done.stderr
        assert any(r"a\nPASS b\x1b[2J.onnx" in line for line in lines)
    assert json.loads(call("verify", forged, "--json").stdout)["file"] == str(forged)


def test_a_child_that_is_killed_leaves_nothing(dying, reference, tmp_path):
    dying(f"open({str(tmp_path / 'loaded')!r}, 'w').close(); time.sleep(60)")
    command = [sys.executable, "-m", "runtime", "verify", reference / "model_int8.onnx"]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + 50
    while not (tmp_path / "loaded").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(parent.pid, signal.SIGINT)
    parent.communicate(timeout=50)  # which end with the processes that hold them
    assert parent.returncode == 130
