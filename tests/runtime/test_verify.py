"""``verify`` replays the images that model files carry."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from called import call


@pytest.mark.parametrize("name", ["model_int8.onnx", "model_fp32.onnx"])
def test_verify_passes_what_is_the_same_and_fails_what_is_not(carrying, name):
    done = call("verify", carrying(name))
    assert done.returncode == 0
    assert done.stdout.startswith("PASS ")
    assert "same class on 8" in done.stdout
    done = call("verify", carrying(name, shift=0.01), "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["passed"] is False
    assert result["max_difference"] == pytest.approx(0.01, abs=1e-4)


def test_verify_of_a_folder_replays_every_file_that_an_engine_here_reads(carrying, tmp_path):
    for name in ("model_int8.onnx", "model_fp32.onnx"):
        carrying(name)
    (tmp_path / "model_odd.tflite").write_bytes((tmp_path / "model_int8.onnx").read_bytes())
    done = call("verify", tmp_path, "--engine", "onnxruntime")
    assert done.returncode == 0, done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        f"PASS {tmp_path / name} (onnxruntime)" for name in ("model_fp32.onnx", "model_int8.onnx")
    ]
    carrying("model_int8.onnx", shift=0.01)
    done = call("verify", tmp_path, "--engine", "onnxruntime")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["PASS", "FAIL"]
    done = call("verify", tmp_path)
    assert done.returncode == 2
    assert "model_odd.tflite: not a TFLite file" in done.stderr


def test_verify_of_a_folder_says_which_files_no_engine_here_reads(carrying, archived, tmp_path):
    carrying("model_int8.onnx")
    archived(np.eye(3, 2))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ncnn.py").write_text("raise ImportError('no libgomp')")
    paths = os.pathsep.join([str(tmp_path / "broken"), *filter(None, sys.path)])

    def verify(*names):
        command = [sys.executable, "-m", "runtime", "verify", *names]
        environment = os.environ | {"PYTHONPATH": paths}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)

    done = verify(".")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PASS model_int8.onnx")
    assert done.stderr.startswith("left out: model.ncnn: ")
    assert "pip install ncnn" in done.stderr
    assert verify("model.ncnn").returncode == 2
    (tmp_path / "model_int8.onnx").unlink()
    assert verify(".").returncode == 2
    assert "no file there that litert reads" in verify(".", "--engine", "litert").stderr


def test_verify_without_a_golden_set_is_status_2(without_golden):
    done = call("verify", without_golden)
    assert done.returncode == 2
    assert "has no golden set" in done.stderr
