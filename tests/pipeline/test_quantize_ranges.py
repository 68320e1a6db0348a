"""Ranges of activations, and the images that they come from."""

import tracemalloc

import numpy as np
import pytest

from pipeline.export.load.deployable import Deployable
from pipeline.export.quantize import onnx_int8, ranges, tflite_int8
from pipeline.export.quantize.config import METHODS, QuantConfig
from pipeline.export.quantize.ranges import Statistics, entropy_threshold, percentile_range
from pipeline.export.quantize.search import image_counts
from pipeline.export.quantize.tflite_activations import FloatActivations
from pipeline.system.traced_tflite import TracedTflite
from quantized import NAMES, SIDE, network, pixels, quantizer_of


def test_ranges_follow_their_methods():
    values = np.zeros((200, 1_000), np.float32)
    values[:, :-1] = np.linspace(0, 1, 999)
    values[150:155, -1] = 50.0
    values[10, 0] = -3.0
    batches = [{"x": values[:120]}, {"x": values[120:]}]
    statistics = Statistics(lambda reduce: map(reduce, batches), (100, 200))
    ranges = {
        (method, images): statistics.ranges(QuantConfig(method, images))["x"]
        for method in METHODS
        for images in (100, 200)
    }
    assert ranges["min-max", 100] == (-3.0, 1.0)
    assert ranges["min-max", 200] == (-3.0, 50.0)
    low, high = ranges["moving average", 200]
    assert -0.1 < low < 0
    assert 1 < high < 4
    low, high = ranges["percentile 99.9", 200]
    assert (low, high) == (pytest.approx(0, abs=0.06), pytest.approx(1, abs=0.06))
    assert ranges["percentile 99.999", 200][1] == pytest.approx(50, rel=0.01)
    assert ranges["entropy", 200][1] < 10
    assert statistics.ranges(QuantConfig(images=200, symmetric=True))["x"] == (-50.0, 50.0)


def test_percentiles_are_numpys_to_a_bin():
    values = np.random.default_rng(0).normal(size=100_000)
    histogram, edges = np.histogram(values, 2_048)
    low, high = percentile_range(histogram, edges, 99.9)
    width = edges[1] - edges[0]
    assert low == pytest.approx(np.percentile(values, 0.1), abs=2 * width)
    assert high == pytest.approx(np.percentile(values, 99.9), abs=2 * width)


def test_entropy_clips_a_lone_outlier_and_spares_a_full_range():
    edges = np.linspace(0, 1, 2_049)
    assert entropy_threshold(np.full(2_048, 100), edges) == pytest.approx(1)
    bell = (1e6 * np.exp(-np.square(np.linspace(0, 20, 2_048)) / 2)).astype(np.int64)
    bell[-1] = 1
    assert 2.5 / 20 < entropy_threshold(bell, edges) < 6 / 20  # in twentieths: standard deviations


def test_image_counts_are_those_there_are():
    assert image_counts(60) == (60,)
    assert image_counts(500) == (100, 500)
    assert image_counts(5_000) == (100, 500, 1_000)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_calibration_takes_no_more_memory_for_more_images(kind, monkeypatch):
    monkeypatch.setattr(onnx_int8, "BATCH_BYTES", 1024 * 1024)  # so that a batch of these is smaller than either set
    deployable = Deployable(network(), NAMES)

    def peak_bytes(images):
        tracemalloc.start()
        quantizer, _ = quantizer_of(kind, deployable, (images,), pixels(images))
        quantizer.build(QuantConfig("entropy", images))
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = peak_bytes(64)
    kept = 512 * 4 * SIDE * SIDE * 8 * 2  # activations of the first convolution alone, before and after its ReLU
    assert peak_bytes(512) - few < kept / 4


def test_histograms_are_counted_once_and_only_where_a_method_needs_them():
    passes = []

    def run(reduce):
        passes.append(1)
        for start in range(0, 200, 30):
            yield reduce({"x": values[start : start + 30]})

    values = np.random.default_rng(0).normal(size=(200, 50)).astype(np.float32)
    statistics = Statistics(run, (100, 200))
    statistics.ranges(QuantConfig("min-max", 200))
    assert len(passes) == 1
    found = [statistics.ranges(QuantConfig("percentile 99.9", images))["x"] for images in (100, 200)]
    assert len(passes) == 2
    edges = np.linspace(float(values.min()), float(values.max()), 2_049)
    assert found == [percentile_range(np.histogram(values[:images], edges)[0], edges, 99.9) for images in (100, 200)]


def test_lite_rt_gives_the_same_activations_by_its_fast_kernels():
    quantizer, _ = quantizer_of("tflite", Deployable(network(), NAMES), (2,), pixels(2))
    image = quantizer._scaling(pixels(1, seed=1))  # noqa: SLF001 - as the flatbuffer takes it
    content = quantizer._calibrated  # noqa: SLF001 - the flatbuffer
    traced = TracedTflite(content)  # by the kernels without XNNPACK
    traced.run(image)
    results = [traced.tensors[index] for operator in traced.operators for index in operator.outputs]
    plain = {tensor.name: traced.values(tensor) for tensor in results}
    fast = FloatActivations(content)(
        image, lambda activations: {name: values.copy() for name, values in activations.items()}
    )
    assert list(fast) == list(plain)
    for name, values in plain.items():
        np.testing.assert_allclose(fast[name], values, atol=1e-4 * np.abs(values).max())


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_large_images_are_collected_by_one_engine_with_the_same_result(kind, monkeypatch):
    calibration, deployable, engines = pixels(5), Deployable(network(), NAMES), []
    usual = quantizer_of(kind, deployable, (5,), calibration)[0]
    for module, name in ((onnx_int8, "_session"), (tflite_int8, "FloatActivations")):
        made = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, made=made: engines.append(given[-1]) or made(*given))
    monkeypatch.setattr(ranges, "LARGE_BYTES", 0)
    large = quantizer_of(kind, deployable, (5,), calibration)[0]
    assert engines == [ranges.THREADS]
    config = QuantConfig("min-max", 5)
    assert large._statistics.ranges(config) == usual._statistics.ranges(config)  # noqa: SLF001 - what is compared


def test_layers_of_large_images_are_compared_in_groups(monkeypatch):
    quantizer, sessions = quantizer_of("onnx", Deployable(network(), NAMES), (2,), pixels(2))[0], []
    graph = quantizer.build(QuantConfig(images=2))
    usual = quantizer.noise(graph, pixels(3, seed=1))
    made = onnx_int8._session  # noqa: SLF001 - what is counted
    monkeypatch.setattr(onnx_int8, "_session", lambda *given: sessions.append(given[1]) or made(*given))
    monkeypatch.setattr(onnx_int8, "GROUP_BYTES", 4 * 8 * SIDE * SIDE)  # the first layer, of eight channels, fills it
    np.testing.assert_allclose(quantizer.noise(graph, pixels(3, seed=1)), usual, rtol=1e-6)
    assert [len(names) for names in sessions[::2]] == [1, 2, 1]
