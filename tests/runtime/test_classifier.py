import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import runtime
from runtime import (
    BackendUnavailableError,
    Classifier,
    ModelFileNotFoundError,
    ModelFormatError,
    ModelSpec,
    ModelSpecError,
    PixelsError,
)
from runtime.golden import GoldenSet

HAS_LITERT = importlib.util.find_spec("ai_edge_litert") is not None
needs_litert = pytest.mark.skipif(not HAS_LITERT, reason="LiteRT is not installed")
MODELS = [
    "model_fp32.onnx",
    "model_int8.onnx",
    pytest.param("model_fp32.tflite", marks=needs_litert),
    pytest.param("model_int8.tflite", marks=needs_litert),
]


@pytest.fixture(scope="session")
def images(reference):
    """The first 25 of the shipped test images and the names of their classes."""
    index = json.loads((reference / "samples.json").read_text())
    with Image.open(reference / "test.webp") as sheet:
        row = np.asarray(sheet)[:32]
    pixels = np.ascontiguousarray(row.reshape(32, 25, 32, 3).swapaxes(0, 1))
    return pixels, [index["class_names"][label] for label in index["test"]["labels"][:25]]


@pytest.mark.parametrize("name", MODELS)
def test_real_images_get_the_right_label(name, reference, images):
    classifier = Classifier(reference / name)
    pixels, names = images
    right = sum(classifier.classify(image).label == label for image, label in zip(pixels, names, strict=True))
    assert right >= 16


@pytest.mark.parametrize("name", MODELS)
def test_predict_gives_probabilities_and_agrees_with_classify(name, reference, images):
    classifier = Classifier(reference / name)
    pixels, _ = images
    probabilities = classifier.predict(pixels)
    assert probabilities.shape == (25, 10)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1, atol=0.03)
    prediction = classifier.classify(pixels[3], top=3)
    assert len(prediction.top) == 3
    assert prediction.top[0] == (prediction.label, prediction.probability)
    assert prediction.probability == pytest.approx(float(probabilities[3].max()), abs=1e-6)
    assert classifier.predict(pixels[:0]).shape == (0, 10)


def test_wrong_pixels_are_refused(reference):
    classifier = Classifier(reference / "model_int8.onnx")
    with pytest.raises(PixelsError, match=r"\(N, 32, 32, 3\), got float32"):
        classifier.predict(np.zeros((1, 32, 32, 3), np.float32))
    with pytest.raises(PixelsError):
        classifier.predict(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match="top"):
        classifier.classify(np.zeros((32, 32, 3), np.uint8), top=0)
    with pytest.raises(ValueError, match="threads"):
        Classifier(reference / "model_int8.onnx", threads=0)


def test_unusable_model_files_are_refused(reference, tmp_path):
    with pytest.raises(ModelFileNotFoundError):
        Classifier(tmp_path / "none.onnx")
    with pytest.raises(ModelFormatError, match=r"\.onnx or \.tflite"):
        Classifier(reference / "model.keras")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((reference / "model_int8.onnx").read_bytes()[:1000])
    with pytest.raises(ModelFormatError, match=r"broken\.onnx"):
        Classifier(broken)


@needs_litert
def test_unusable_tflite_files_are_refused(reference, tmp_path):
    content = (reference / "model_int8.tflite").read_bytes()
    cut, foreign = tmp_path / "cut.tflite", tmp_path / "foreign.tflite"
    cut.write_bytes(content[:-100])
    with pytest.raises(ModelSpecError):
        Classifier(cut)
    foreign.write_bytes(b"not a flatbuffer at all")
    with pytest.raises(ModelFormatError):
        Classifier(foreign)


@pytest.mark.skipif(HAS_LITERT, reason="LiteRT is installed")
def test_tflite_without_litert_names_the_extra(reference):
    with pytest.raises(BackendUnavailableError, match=r"edgecnn\[litert\]"):
        Classifier(reference / "model_int8.tflite")


def test_spec_survives_its_json_and_refuses_nonsense():
    spec = ModelSpec(32, ("a", "b"), "int8", provenance={"keras_sha256": "0"})
    assert ModelSpec.from_json(spec.to_json()) == spec
    for text in ("", "[]", "{}", '{"side": 0, "class_names": ["a", "b"]}', '{"side": 8, "class_names": ["a"]}'):
        with pytest.raises(ModelSpecError):
            ModelSpec.from_json(text)
    with pytest.raises(ModelSpecError, match="version 9"):
        ModelSpec.from_json(spec.to_json().replace('"version": 2', '"version": 9'))
    with pytest.raises(ModelSpecError, match="resize_filter"):
        ModelSpec(32, ("a", "b"), resize_filter="magic")


def test_version_1_had_one_scale_for_all_channels():
    spec = ModelSpec.from_json('{"side": 32, "class_names": ["a", "b"], "scale": 0.5, "version": 1}')
    assert spec.scale == (0.5, 0.5, 0.5)


def test_golden_set_survives_its_json():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    golden = GoldenSet(pixels, np.array([[0.1, 0.9]] * 3, np.float32), 0.01)
    again = GoldenSet.from_json(golden.to_json())
    assert (again.pixels == pixels).all()
    assert (again.probabilities == golden.probabilities).all()
    assert again.tolerance == 0.01
    for text in ("", "{}", golden.to_json().replace("[[", "[[0.5, 0.5], [")):
        with pytest.raises(ModelSpecError, match="golden set"):
            GoldenSet.from_json(text)


def test_public_names_are_these():
    assert sorted(runtime.__all__) == [
        "BackendUnavailableError",
        "Classifier",
        "EdgecnnError",
        "ImageDecodeError",
        "ImageError",
        "ImageFileNotFoundError",
        "ModelDigestError",
        "ModelError",
        "ModelFileNotFoundError",
        "ModelFormatError",
        "ModelSpec",
        "ModelSpecError",
        "PixelsError",
        "Prediction",
    ]


def test_import_brings_in_nothing_of_the_pipeline():
    heavy = "{'tensorflow', 'keras', 'onnx', 'tf2onnx', 'pipeline'}"
    code = f"import runtime, sys; sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
