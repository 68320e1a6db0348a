import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from runtime import (
    Classifier,
    EdgecnnError,
    ModelDigestError,
    ModelFileNotFoundError,
    ModelFormatError,
    ModelSpec,
    ModelSpecError,
)
from runtime.golden import GoldenSet

SCALE, OFFSET = (0.01, 0.02, 0.03), (-1.0, 0.0, 1.0)
SPEC = ModelSpec(8, ("a", "b", "c", "d"), scale=SCALE, offset=OFFSET)
WEIGHTS = np.random.default_rng(0).normal(size=(3, 4))
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)


@pytest.fixture
def model(reference, tmp_path):
    return shutil.copy(reference / "model_int8.onnx", tmp_path / "model.onnx")


def manifest(path, digest):
    text = json.dumps({"files": {path.name: {"sha256": digest}}})
    path.with_name("manifest.json").write_text(text)


def test_a_file_changed_since_export_is_refused(model):
    manifest(model, hashlib.sha256(model.read_bytes()).hexdigest())
    Classifier(model)
    manifest(model, "0" * 64)
    with pytest.raises(ModelDigestError, match=r"model\.onnx: changed since export.*copy"):
        Classifier(model)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"files": {"other.onnx": {"sha256": "0"}}}',
        '{"name": "a web app"}',
        '{"files": ["model.onnx"]}',
        '{"files": {"model.onnx": 3}}',
        '{"files": {"model.onnx": {"sha256": 3}}}',
        "",
        "{",
        "[]",
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_manifest_that_does_not_list_the_file_says_nothing_of_it(model, text):
    model.with_name("manifest.json").write_text(text, encoding="latin-1")
    Classifier(model)


def test_a_manifest_that_is_no_regular_file_says_nothing(model):
    os.mkfifo(model.with_name("manifest.json"))
    Classifier(model)


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "device.onnx").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.onnx"))
        for name in ("pipe", "folder", "device", "socket", "x\0y", "n" * 300):
            with pytest.raises(ModelFileNotFoundError, match="expected a readable model file"):
                Classifier(f"{tmp_path}/{name}.onnx")


def test_a_file_beyond_the_bound_is_refused(model, monkeypatch):
    monkeypatch.setattr("runtime.engines.load.MAX_MODEL_BYTES", 1000)
    with pytest.raises(ModelFormatError, match="larger than 1,000 bytes"):
        Classifier(model)


def test_external_data_is_refused_wherever_the_process_runs(external, tmp_path, monkeypatch):
    # external_data (13) holding key (1) and value (2), data_location (14) EXTERNAL
    path = external([1, 3, 8, 8], WEIGHTS, extra=b"j\x0f\n\x08location\x12\x03w.b" + b"p\x01")
    (tmp_path / "w.b").write_bytes(WEIGHTS.astype(np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFormatError, match="external data"):
        Classifier(path, spec=SPEC)


def test_metadata_named_location_is_no_external_data(respecified):
    Classifier(respecified(extra=b"r\x0f\n\x08location\x12\x03lab"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side": 16}, "side 16"),
        ({"class_names": ["a", "b"]}, "names 2 classes"),
        ({"side": True}, "side"),
        ({"side": 10**30}, "side"),
        ({"side": 32.0}, "side"),
        ({"class_names": "abcdefghij"}, "class_names"),
        ({"class_names": ["a", 2]}, "class_names"),
        ({"class_names": ["a", "\x1b[2J"]}, "class_names"),
        ({"class_names": ["a", "\ud800"]}, "class_names"),
        ({"scale": [1, 2]}, "scale"),
        ({"scale": [1, 2, float("nan")]}, "scale"),
        ({"scale": 1}, "scale"),
        ({"offset": [1, 2, float("inf")]}, "offset"),
        ({"offset": [1, 2, 10**400]}, "offset"),
        ({"fill": [0, 0, 256]}, "fill"),
        ({"fill": [0, 0, True]}, "fill"),
        ({"resize": ["stretch"]}, "resize"),
        ({"resize": {}}, "resize"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"confidence_threshold": -0.1}, "confidence_threshold"),
        ({"confidence_threshold": None}, "confidence_threshold"),
        ({"accuracy": 1.1}, "accuracy"),
        ({"accuracy_images": 1.5}, "accuracy_images"),
        ({"provenance": ["a"]}, "provenance"),
        ({"provenance": {"a": 1}}, "provenance"),
        ({"version": 3}, "version 3"),
        ({"version": "2"}, "version '2'"),
        ({"magic": 1}, "unknown entries"),
    ],
)
def test_a_spec_of_wrong_values_is_refused_with_the_files_name(respecified, reference, changes, message):
    entries = json.loads(Classifier(reference / "model_int8.onnx").spec.to_json())
    with pytest.raises(ModelSpecError, match=rf"model\.onnx: .*{message}"):
        Classifier(respecified(json.dumps(entries | changes)))


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"x"', "{}", "[" * 100_000, '{"side":' * 50_000])
def test_a_spec_that_is_no_object_is_refused(respecified, text):
    with pytest.raises(ModelSpecError, match=r"model\.onnx"):
        Classifier(respecified(text))


@pytest.mark.parametrize("shape", [[1, 3, 8, 8], ["n", 3, 8, 8], ["n", 3, "h", "w"], [1, 8, 8, 3], ["n", 8, 8, 3]])
@pytest.mark.parametrize("softmax", [False, True])
def test_a_model_of_another_exporter_runs_with_a_spec(external, shape, softmax):
    classifier = Classifier(external(shape, WEIGHTS, softmax=softmax), spec=SPEC)
    logits = (PIXELS * np.array(SCALE) + np.array(OFFSET)).mean(axis=(1, 2)) @ WEIGHTS
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(classifier.predict(PIXELS), expected, atol=1e-5)
    assert classifier.predict(PIXELS[:0]).shape == (0, 4)
    assert classifier.classify(PIXELS[0]).label == SPEC.class_names[expected[0].argmax()]


def test_temperature_divides_the_logits_of_others(external):
    spec = ModelSpec(8, SPEC.class_names, scale=SCALE, offset=OFFSET, temperature=4.0)
    path = external([1, 8, 8, 3], WEIGHTS)
    cool, warm = Classifier(path, spec=SPEC).predict(PIXELS), Classifier(path, spec=spec).predict(PIXELS)
    powers = cool.astype(float) ** 0.25
    assert np.allclose(warm, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_a_model_of_another_exporter_is_held_against_the_spec(external):
    path = external([1, 8, 8, 3], WEIGHTS)
    with pytest.raises(ModelSpecError, match=r"external\.onnx: has no model spec.*spec=ModelSpec"):
        Classifier(path)
    with pytest.raises(ModelSpecError, match="side 16, the graph takes x"):
        Classifier(path, spec=ModelSpec(16, SPEC.class_names))
    with pytest.raises(ModelSpecError, match="names 2 classes"):
        Classifier(path, spec=ModelSpec(8, ("a", "b")))


def test_a_golden_set_of_another_model_is_refused(carrying, without_golden):
    golden = Classifier(carrying("model_int8.onnx")).golden()
    assert golden.pixels.shape == (8, 32, 32, 3)
    classifier = Classifier(without_golden)
    assert classifier.golden() is None
    classifier._golden_json = GoldenSet(golden.pixels, golden.probabilities[:, :5], 0.1).to_json()  # noqa: SLF001 - a file could say so
    with pytest.raises(ModelSpecError, match="of another model"):
        classifier.golden()


def png(width, height):
    """The beginning of a PNG that says how large it is."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4) + height.to_bytes(4)).decode()


@pytest.mark.parametrize(
    "changes",
    [
        {"png": png(30_000, 30_000)},
        {"png": png(0, 0)},
        {"png": png(8, 9)},
        {"png": png(8, 8)},
        {"png": "!"},
        {"png": 3},
        {"probabilities": [[0.5, float("nan")]] * 3},
        {"probabilities": [[0.5, 2.0]] * 3},
        {"probabilities": [0.5] * 3},
        {"probabilities": [[0.5], [0.5, 0.5], []]},
        {"probabilities": []},
        {"tolerance": float("nan")},
        {"tolerance": -1},
        {"tolerance": "0.1"},
    ],
)
def test_a_hostile_golden_set_is_refused(changes):
    golden = GoldenSet(PIXELS[:3], np.full((3, 2), 0.5, np.float32), 0.1)
    with pytest.raises(ModelSpecError, match="golden set is not readable"):
        GoldenSet.from_json(json.dumps(json.loads(golden.to_json()) | changes))


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (0, 0), (8, 9)])
def test_a_golden_set_is_judged_by_its_size_before_it_is_decoded(width, height):
    text = json.dumps({"png": png(width, height), "probabilities": [[0.5, 0.5]], "tolerance": 0.1})
    with pytest.raises(ModelSpecError, match=f"{width}x{height} pixels in all"):
        GoldenSet.from_json(text)


@pytest.mark.parametrize("name", ["model_int8.onnx", "model_fp32.onnx"])
def test_a_file_cut_anywhere_is_refused_or_whole(reference, tmp_path, name):
    content = (reference / name).read_bytes()
    cut = tmp_path / "cut.onnx"
    for length in range(0, len(content), len(content) // 40):
        cut.unlink(missing_ok=True)  # ext4 waits for the disk where a file is written over
        cut.write_bytes(content[:length])
        with pytest.raises(EdgecnnError, match=r"cut\.onnx"):
            Classifier(cut)


def test_loading_leaves_nothing_in_the_home_folder(model, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    code = f"from runtime import Classifier; Classifier({str(model)!r})"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not list(home.rglob("*"))
