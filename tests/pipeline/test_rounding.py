"""fp32 parity is bounded by the network's own rounding, measured against float64."""

import keras
import numpy as np
import pytest

from pipeline import artifacts
from pipeline.data import samples
from pipeline.data.dataset import Dataset
from pipeline.export import Settings, export
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import Source, load_exported
from pipeline.export.load.rounding import exact_probabilities, rounding
from pipeline.export.load.scaling import PRESETS, PixelScaling
from pipeline.formats import FP32, INT8
from pipeline.verify import parity
from runtime import Classifier

NAMES = tuple("abcdefghij")
HALVES = PixelScaling.of(scale=(1 / 127.5,), offset=(-1,))


def enlarged(pixels, side):
    factor = side // pixels.shape[1]
    return pixels.repeat(factor, axis=1).repeat(factor, axis=2)


def mobilenet(side, images):
    """A narrow MobileNetV2 whose random weights and outputs have the scales of a trained network."""
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV2(
        (side, side, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # one pass sets the moving statistics
    model(HALVES(images), training=True)
    head = model.layers[-1]
    kernel, bias = head.get_weights()
    head.set_weights([kernel * 4 / model.predict(HALVES(images), verbose=0).std(axis=1).mean(), bias])
    return Deployable(model, NAMES, HALVES)


def test_float64_answers_are_those_of_keras_but_for_rounding(reference):
    deployable, pixels = load_exported(reference), samples.read_test(reference).pixels[:32]
    exact = exact_probabilities(deployable, pixels)
    assert exact.dtype == np.float64
    assert np.allclose(exact.sum(axis=1), 1, atol=1e-12)
    assert deployable.temperature != 1
    assert 1e-9 < np.abs(deployable.probabilities(pixels) - exact).max() < 2e-6


@pytest.mark.parametrize("scaling", [PRESETS["caffe"], PixelScaling(bgr=True)])
def test_the_order_of_channels_is_no_rounding(scaling):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3))
    value = keras.layers.Conv2D(4, 3, activation="tanh")(image)
    model = keras.Model(image, keras.layers.Dense(10, activation="softmax")(keras.layers.Flatten()(value)))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    assert rounding(Deployable(model, NAMES, scaling), pixels) < 1e-5


def test_the_limit_follows_from_the_rounding_of_the_network(reference, monkeypatch):
    test = samples.read_test(reference).take(np.arange(100))
    deployable = load_exported(reference)
    expected = deployable.probabilities(test.pixels)
    judged = parity._Reference(deployable, test, expected, None)  # noqa: SLF001 - the rule itself
    got = expected.copy()
    got[7, 0] += 1.4e-5
    looked_at = []

    def measured(_, pixels):
        looked_at.append(pixels)
        return 2e-6

    monkeypatch.setattr(parity, "rounding", measured)
    assert judged.limit(FP32.tolerance, got).max_difference == pytest.approx(16e-6)
    assert any((image == test.pixels[7]).all() for image in looked_at[0])
    assert len(looked_at[0]) <= parity.ROUNDED_IMAGES
    assert judged.limit(FP32.tolerance, expected) is FP32.tolerance, "a file within 1e-5 needs no other bound"
    assert judged.limit(INT8.tolerance, got) is INT8.tolerance
    assert judged.limit(FP32.tolerance, got * np.float32(np.nan)) is FP32.tolerance
    assert len(looked_at) == 1


@pytest.mark.slow
def test_a_deep_network_of_224_pixels_passes_and_a_wrong_one_does_not(reference, tmp_path, monkeypatch):
    sample = samples.read_calibration(reference).pixels[:10]
    images = enlarged(sample, 224)
    deployable = mobilenet(224, images)
    deployable.model.save(tmp_path / "model.keras")
    data = Dataset(images, deployable.probabilities(images).argmax(axis=1), NAMES)
    source = Source(tmp_path / "model.keras", NAMES, HALVES)
    fp32 = Settings(files=(artifacts.FP32_ONNX, artifacts.FP32_TFLITE))
    export(source, tmp_path / "build", data, data, fp32)
    predict, given = Classifier.predict, []
    monkeypatch.setattr(
        Classifier, "predict", lambda self, pixels: (given.append(len(pixels)), predict(self, pixels))[1]
    )
    report = parity.verify(tmp_path / "build", data)
    assert given[-2:] == [6, 4], "the memory of an engine does not grow with the number of images"
    assert report.passed, parity.format_report(report)
    assert parity.ROUNDINGS * rounding(deployable, images) < 1e-3
    expected, last = deployable.probabilities(images), deployable.model.layers[-4]
    last.set_weights([weight * np.float32(1.05) for weight in last.get_weights()])
    got = deployable.probabilities(images)
    limit = parity._Reference(deployable, data, expected, None).limit(FP32.tolerance, got)  # noqa: SLF001 - the rule itself
    assert np.abs(got - expected).max() > 5 * limit.max_difference
