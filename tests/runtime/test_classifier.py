import importlib.util
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import runtime
from runtime import (
    BackendUnavailableError,
    Classifier,
    ModelDigestError,
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
    with pytest.raises(ModelFormatError, match=r"\.onnx or \.tflite or \.ncnn"):
        Classifier(reference / "model.keras")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((reference / "model_int8.onnx").read_bytes()[:1000])
    with pytest.raises(ModelSpecError, match=r"broken\.onnx.* cut off"):
        Classifier(broken)


@needs_litert
def test_unusable_tflite_files_are_refused(reference, tmp_path):
    content = (reference / "model_int8.tflite").read_bytes()
    cut, external = tmp_path / "cut.tflite", tmp_path / "external.tflite"
    cut.write_bytes(content[:-100])
    with pytest.raises(ModelDigestError):
        Classifier(cut)
    external.write_bytes(b"not a flatbuffer at all")
    with pytest.raises(ModelFormatError):
        Classifier(external)


@pytest.mark.skipif(HAS_LITERT, reason="LiteRT is installed")
def test_tflite_without_litert_names_the_extra(reference):
    with pytest.raises(BackendUnavailableError, match="pip install ai-edge-litert"):
        Classifier(reference / "model_int8.tflite")


@pytest.mark.parametrize("name", MODELS)
def test_many_threads_at_once_get_the_answers_of_one(name, reference, images):
    classifier = Classifier(reference / name)
    alone = [classifier.classify(image) for image in images[0]]
    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(lambda _: [classifier.classify(image) for image in images[0]], range(16)):
            assert answers == alone


@pytest.mark.parametrize("name", MODELS)
def test_it_travels_to_another_process_by_its_path(name, reference, images):
    classifier = Classifier(reference / name, threads=2)
    content = pickle.dumps(classifier)
    assert len(content) < 1000
    again = pickle.loads(content)  # noqa: S301 - our own
    assert again.threads == 2
    assert (again.predict(images[0]) == classifier.predict(images[0])).all()


def test_closed_is_closed(reference, images):
    with Classifier(reference / "model_int8.onnx") as classifier:
        classifier.classify(images[0][0])
    with pytest.raises(ValueError, match="closed"):
        classifier.classify(images[0][0])
    with pytest.raises(ValueError, match="closed"):
        classifier.predict(images[0])


def test_backend_and_tensors_are_named(reference):
    classifier = Classifier(reference / "model_int8.onnx")
    assert classifier.backend == "onnxruntime"
    assert [str(tensor).partition(": ")[2] for tensor in (*classifier.inputs, *classifier.outputs)] == [
        "uint8 [N, 32, 32, 3]",
        "float32 [N, 10]",
        "float32 [N]",
    ]


def test_confidence_is_the_specs_threshold(reference, images):
    base = Classifier(reference / "model_int8.onnx").spec
    answers = {}
    for confidence_threshold in (0.0, 0.6, 1.0):
        spec = replace(base, confidence_threshold=confidence_threshold)
        classifier = Classifier(reference / "model_int8.onnx", spec=spec)
        answers[confidence_threshold] = [classifier.classify(image) for image in images[0]]
    assert all(answer.is_confident for answer in answers[0.0])
    assert [answer.is_confident for answer in answers[0.6]] == [answer.probability >= 0.6 for answer in answers[0.6]]
    assert {True, False} == {answer.is_confident for answer in answers[0.6]}


def test_the_engine_does_not_spin(reference):
    code = (
        "import sys, time, numpy as np; from runtime import Classifier\n"
        "c = Classifier(sys.argv[1], threads=2); c.predict(np.zeros((64, 32, 32, 3), np.uint8))\n"
        "before = time.process_time(); time.sleep(0.5); sys.exit(time.process_time() - before > 0.1)"
    )
    command = [sys.executable, "-c", code, str(reference / "model_fp32.onnx")]
    assert subprocess.run(command, check=False).returncode == 0


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
        "ForkedProcessError",
        "ImageDecodeError",
        "ImageError",
        "ImageFileNotFoundError",
        "ImageMemoryError",
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


def test_an_array_may_be_bgr(reference, images):
    classifier, array = Classifier(reference / "model_int8.onnx"), images[0][0]
    assert classifier.classify(array[..., ::-1], channel_order="BGR") == classifier.classify(array)
    assert classifier.classify(array[..., ::-1].copy(), channel_order="BGR") == classifier.classify(array)
    assert classifier.classify(array[..., ::-1]) != classifier.classify(array)
    batch = images[0][:4]
    assert (classifier.predict(batch[..., ::-1], channel_order="BGR") == classifier.predict(batch)).all()


def test_a_channel_order_that_cannot_be_is_refused(reference):
    classifier = Classifier(reference / "model_int8.onnx")
    with pytest.raises(ValueError, match="RGB or BGR, got 'GRB'"):
        classifier.classify(np.zeros((8, 8, 3), np.uint8), channel_order="GRB")
    with pytest.raises(TypeError, match="is for arrays, got bytes"):
        classifier.classify(b"", channel_order="BGR")
