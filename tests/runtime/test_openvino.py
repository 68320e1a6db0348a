"""OpenVINO, compared with ONNX Runtime on the same files."""

import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from runtime import Classifier, EdgecnnError, ModelFormatError, ModelSpec
from runtime.engines.openvino import OpenvinoBackend

pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")

TOLERANCES = {"model_fp32.onnx": 1e-5, "model_int8.onnx": 0.05}
"""Of a probability. In int8 the engines round rescaled sums differently, a step of 1/256 here and there."""


@pytest.mark.parametrize("name", TOLERANCES)
def test_it_answers_as_onnx_runtime_does(name, reference, images):
    ours, theirs = (Classifier(reference / name, engine=engine) for engine in ("openvino", "onnxruntime"))
    assert ours.backend == "openvino"
    assert (ours.spec, ours.inputs, ours.outputs) == (theirs.spec, theirs.inputs, theirs.outputs)
    assert np.array_equal(ours.golden().pixels, theirs.golden().pixels)
    got, expected = ours.predict(images[0]), theirs.predict(images[0])
    assert np.abs(got - expected).max() < TOLERANCES[name]
    assert np.array_equal(got, np.concatenate([ours.predict(image[np.newaxis]) for image in images[0]]))
    assert ours.predict(images[0][:0]).shape == (0, 10)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_threads_at_once_get_the_answers_of_one(threads, reference, images):
    classifier = Classifier(reference / "model_int8.onnx", threads, engine="openvino")
    alone = classifier.predict(images[0])
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: classifier.predict(images[0]), range(16)):
            assert np.array_equal(answers, alone)


def test_it_takes_the_threads_that_it_is_given(reference):
    for threads in (1, 2):
        backend = OpenvinoBackend((reference / "model_fp32.onnx").read_bytes(), "model.onnx", threads)
        model = backend._request.get_compiled_model()  # noqa: SLF001 - what the engine made of it
        assert model.get_property("INFERENCE_NUM_THREADS") == min(threads, len(os.sched_getaffinity(0)))
        assert model.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


@pytest.mark.parametrize("shape", [[1, 3, 8, 8], ["n", 3, 8, 8], ["n", 3, "h", "w"], [1, 8, 8, 3], ["n", 8, 8, 3]])
def test_a_model_of_another_exporter_runs_with_a_spec(external, shape):
    weights = np.random.default_rng(0).normal(size=(3, 4))
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    path, spec = external(shape, weights, softmax=True), ModelSpec(8, ("a", "b", "c", "d"))
    ours, theirs = (Classifier(path, spec=spec, engine=engine) for engine in ("openvino", "onnxruntime"))
    assert np.allclose(ours.predict(pixels), theirs.predict(pixels), atol=1e-5)


def test_a_file_cut_anywhere_is_refused(reference, tmp_path):
    content = (reference / "model_int8.onnx").read_bytes()
    cut, spec = tmp_path / "cut.onnx", Classifier(reference / "model_int8.onnx").spec
    for length in range(0, len(content), len(content) // 20):
        cut.unlink(missing_ok=True)  # ext4 waits for the disk where a file is written over
        cut.write_bytes(content[:length])
        with pytest.raises(EdgecnnError, match=r"cut\.onnx"):
            Classifier(cut, spec=spec, engine="openvino")


def test_external_data_is_refused(external):
    path = external([1, 3, 8, 8], np.eye(3), extra=b"j\x0f\n\x08location\x12\x03w.b" + b"p\x01")
    with pytest.raises(ModelFormatError, match="external data"):
        Classifier(path, spec=ModelSpec(8, ("a", "b", "c")), engine="openvino")


def test_it_sends_nothing_and_leaves_nothing_at_home(reference, tmp_path):
    """Left alone, ``import openvino`` posts an event and keeps a client's number in the home folder."""
    code = (
        "import os, sys\n"
        "sys.addaudithook(lambda name, _: name.startswith(('socket.', 'urllib.')) and os._exit(3))\n"
        "import runtime\n"
        "runtime.Classifier(sys.argv[1], engine='openvino')\n"
        "import openvino_telemetry\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, reference / "model_fp32.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_the_golden_set_is_replayed_on_it(carrying):
    path = carrying("model_fp32.onnx", tolerance=1e-5)
    command = [sys.executable, "-m", "runtime", "verify", path, "--engine", "openvino", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert result["engine"] == "openvino"
    assert 0 < result["max_difference"] <= 1e-5
