import json
import subprocess
import sys

import pytest
from PIL import Image


def classify(*arguments):
    command = [sys.executable, "-m", "runtime", "classify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), (40, 90, 200)).save(path)
    return path


def test_a_line_an_image(reference, photo):
    done = classify(reference / "model_int8.onnx", photo, "--top", 2)
    assert done.returncode == 0
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{photo}: ")
    assert line.count("%") == 2


def test_bad_image_does_not_stop_the_rest(reference, photo, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    done = classify(reference / "model_fp32.onnx", bad, tmp_path / "none.jpg", photo, "--json")
    assert done.returncode == 1
    assert done.stderr == ""
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert set(first) == {"file", "error"} == set(second)
    assert third["file"] == str(photo)
    assert third["top"][0] == {"label": third["label"], "probability": third["probability"]}
    assert len(third["top"]) == 5


def test_bad_model_is_one_line_and_status_2(photo, tmp_path):
    done = classify(tmp_path / "none.onnx", photo)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "none.onnx" in done.stderr


def test_usage_error_is_status_2(reference, photo):
    assert classify(reference / "model_int8.onnx", photo, "--top", 0).returncode == 2
