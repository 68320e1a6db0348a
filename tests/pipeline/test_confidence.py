"""The confidence threshold for a wanted precision."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from pipeline.data.dataset import Dataset, without_labels
from pipeline.errors import ExportError
from pipeline.export import Settings, export
from pipeline.export.confidence import refitted, with_confidence
from pipeline.export.load.model import Source
from pipeline.metrics.calibration import fit_temperature, softmax
from pipeline.metrics.selective import lowest_threshold, risk_coverage, risk_coverage_entry
from runtime import Classifier
from runtime.errors import ModelSpecError
from runtime.spec import ModelSpec

NAMES = ("a", "b")
SPEC = ModelSpec(8, NAMES)


def answers(count, seed, sharpness=1.0):
    """Sharpened probabilities of two classes, and labels drawn from the original probabilities."""
    random = np.random.default_rng(seed)
    logits = np.stack([random.normal(0, 3, count), np.zeros(count)], axis=1)
    labels = (random.random(count) > softmax(logits)[:, 0]).astype(np.int64)
    return softmax(sharpness * logits), labels


def images(labels, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 8, 8, 3), np.uint8)
    return Dataset(pixels, labels, NAMES)


def test_risk_rises_with_coverage_and_equal_confidences_count_together():
    curve = risk_coverage(np.array([0.6, 0.9, 0.6, 0.8]), np.array([False, True, True, True]))
    assert curve.threshold.tolist() == [0.9, 0.8, 0.6]
    assert curve.coverage.tolist() == [0.25, 0.5, 1]
    assert curve.risk.tolist() == [0, 0, 0.25]
    assert curve.area == 0.125
    entry = risk_coverage_entry(curve, 2)
    assert entry == {"threshold": (0.8, 0.6), "coverage": (0.5, 1), "risk": (0, 0.25), "area": 0.125}


@pytest.mark.parametrize("precision", [0.83, 0.86, 0.9])
def test_new_images_have_the_precision_that_was_asked_for(precision):
    """The bound holds with 95 % confidence, or slightly less, because the lowest of many thresholds is chosen."""
    failures = 0
    new, labels = answers(50_000, seed=1000)
    right, confidence = new.argmax(axis=1) == labels, new.max(axis=1)
    for seed in range(40):
        probabilities, own = answers(1000, seed)
        found, _ = lowest_threshold(probabilities.max(axis=1), probabilities.argmax(axis=1) == own, precision)
        failures += right[confidence >= found.value].mean() < precision
        assert found.kept == (probabilities.max(axis=1) >= found.value).sum()
    assert failures <= 8


@pytest.mark.parametrize("right", [58, 59, 1])
def test_a_precision_needs_enough_images(right):
    found, best = lowest_threshold(np.full(right, 0.9), np.ones(right, bool), 0.95)
    assert (found is not None) == (right >= 59)
    assert best.precision == pytest.approx(0.05 ** (1 / right))


def test_wrong_answers_alone_give_no_threshold():
    found, best = lowest_threshold(np.array([0.9, 0.8]), np.zeros(2, bool), 0.5)
    assert found is None
    assert best.precision == 0


def test_where_all_answers_are_good_enough_all_are_confident():
    probabilities, labels = answers(500, 0)
    spec = with_confidence(SPEC, probabilities, images(labels), np.ones(500), 0.6)
    assert (spec.confidence_threshold, spec.confidence_kept, spec.confidence_images) == (0, 1, 500)


def test_each_half_gets_the_temperature_of_the_other():
    probabilities, labels = answers(600, 3, sharpness=2.0)
    dataset = images(labels)
    divided = refitted(probabilities, dataset)
    first, second = np.unique(divided)
    half = divided == first
    assert 200 < half.sum() < 400
    assert first == pytest.approx(fit_temperature(np.log(probabilities[~half]), labels[~half]), rel=1e-3)
    assert second == pytest.approx(2, rel=0.3)
    moved = np.random.default_rng(1).permutation(600)
    assert refitted(probabilities[moved], dataset.take(moved)) == pytest.approx(divided[moved], rel=1e-3)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (images(np.zeros(20, np.int64)), r"no confidence threshold makes 0.99 .* of 20 validation images the surest"),
        (
            without_labels(np.zeros((20, 8, 8, 3), np.uint8), NAMES),
            "--precision counts right answers on labeled photos",
        ),
    ],
    ids=["too few", "unlabeled"],
)
def test_a_precision_that_no_threshold_reaches_is_refused(made, message):
    with pytest.raises(ExportError, match=message):
        with_confidence(SPEC, np.full((20, 2), 0.5, np.float32), made, np.ones(20), 0.99)


def test_the_spec_carries_it_only_where_it_was_asked_for():
    assert "confidence_kept" not in json.loads(SPEC.to_json())
    chosen = replace(SPEC, confidence_threshold=0.7, confidence_precision=0.9, confidence_kept=0.5, confidence_images=8)
    assert ModelSpec.from_json(chosen.to_json()) == chosen
    for name, value in (("confidence_precision", 2), ("confidence_kept", -1), ("confidence_images", 0.5)):
        with pytest.raises(ModelSpecError, match=name):
            replace(SPEC, **{name: value})


@pytest.mark.slow
def test_every_file_has_a_threshold_of_its_own(tmp_path, capsys):
    from runtime.cli import main

    layers = [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")])
    kernel = np.zeros((192, 2), np.float32)
    kernel[:, 0] = np.random.default_rng(0).normal(0, 0.6, 192)
    model.layers[-1].set_weights([kernel, np.array([-kernel[:, 0].sum() / 2, 0], np.float32)])
    model.save(tmp_path / "tiny.keras")
    dataset = images(np.zeros(1000, np.int64))
    probabilities = model.predict(dataset.pixels, verbose=0)
    labels = (np.random.default_rng(1).random(1000) > probabilities[:, 0]).astype(np.int64)
    dataset = replace(dataset, labels=labels)
    files = ("model_fp32.onnx", "model_fp32.tflite")
    settings = Settings(quick=True, files=files, precision=0.9)
    source = Source(tmp_path / "tiny.keras", class_names=NAMES)
    export(source, tmp_path / "out", dataset, dataset, settings)
    for name in files:
        classifier = Classifier(tmp_path / "out" / name)
        found = list(classifier.classify_many(dataset.pixels))
        confident = np.array([answer.is_confident for answer in found])
        right = np.array([answer.label for answer in found]) == np.array(NAMES)[labels]
        assert 0.3 < confident.mean() < 1
        assert right[confident].mean() >= 0.9
        assert confident.mean() == pytest.approx(classifier.spec.confidence_kept)
    main(["inspect", str(tmp_path / "out" / files[0])])
    assert "90% of such predictions are correct" in capsys.readouterr().out
    with pytest.raises(ExportError, match="no confidence threshold"):
        export(source, tmp_path / "none", dataset, dataset, replace(settings, precision=0.99999))
    assert not (tmp_path / "none" / "manifest.json").exists()
