"""Ranges, the search, and the way back to float."""

import tracemalloc

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from pipeline.data.dataset import Dataset
from pipeline.export import onnx, tflite
from pipeline.export.formats import load_bytes
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling
from pipeline.export.quantize import onnx_int8
from pipeline.export.quantize.acceptance import AcceptanceCriteria, Judgment
from pipeline.export.quantize.config import METHODS, QuantConfig
from pipeline.export.quantize.layer import Layer, float_share
from pipeline.export.quantize.mixed_precision import next_float_layer, next_float_layers, noise_to_signal
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.ranges import Statistics, entropy_threshold, percentile_range
from pipeline.export.quantize.search import (
    Candidate,
    Engines,
    Search,
    Validation,
    choose,
    image_counts,
    is_closer,
    most_accurate,
)
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from pipeline.export.quantize.tflite_pixels import take_pixels_through_float
from runtime.spec import ModelSpec

SIDE, NAMES = 16, ("a", "b", "c", "d")
DEFAULT_CRITERIA = AcceptanceCriteria()


def pixels(count, seed=0):
    """Coarse patches of color, so that the network's answers differ."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def network(spread=0):
    """A small classifier; channels of its first convolution lie 2^-spread to 2^spread apart, undone by the second."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=1.0)),
        ]
    )
    factors = 2.0 ** np.linspace(-spread, spread, 8)
    first, second = model.layers[0], model.layers[2]
    first.set_weights([first.get_weights()[0] * factors, first.get_weights()[1] * factors])
    second.set_weights([second.get_weights()[0] / factors[:, None], second.get_weights()[1]])
    return model


def validation_of(deployable, criteria=DEFAULT_CRITERIA):
    """Images of which the network is sure, labeled with its own answers."""
    images = pixels(1_500, seed=1)
    expected = deployable.probabilities(images)
    sure = np.sort(expected, axis=1)[:, -1] > 0.8
    assert sure.sum() > 300
    dataset = Dataset(images[sure], expected[sure].argmax(axis=1), NAMES)
    return Validation(dataset, expected[sure], criteria)


def quantizer_of(kind, deployable, counts=(100,), calibration=None):
    calibration = pixels(100) if calibration is None else calibration
    if kind == "onnx":
        prepared = deployable.for_int8
        quantizer = OnnxQuantizer(onnx.convert(prepared), prepared.network_scaling, calibration, counts)
        return quantizer, onnx.with_metadata
    return TfliteQuantizer(deployable, calibration, counts), tflite.with_metadata


def search_of(kind, deployable, criteria=DEFAULT_CRITERIA, float_bytes=1_000_000):
    quantizer, pack = quantizer_of(kind, deployable)
    spec = ModelSpec(SIDE, NAMES, "int8")
    engines = Engines(lambda graph: pack(graph, spec, None), load_bytes, lambda: float_bytes)
    return Search(quantizer, validation_of(deployable, criteria), engines)


def test_ranges_follow_their_methods():
    values = np.zeros((200, 1_000), np.float32)
    values[:, :-1] = np.linspace(0, 1, 999)
    values[150:155, -1] = 50.0
    values[10, 0] = -3.0
    statistics = Statistics(lambda: iter([{"x": values[:120]}, {"x": values[120:]}]), (100, 200))
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
def test_every_recipe_builds_and_stays_close_to_keras(kind):
    deployable = Deployable(network(), NAMES)
    quantizer, pack = quantizer_of(kind, deployable, (50, 100))
    images = pixels(50, seed=2)
    expected = deployable.probabilities(images)
    configs = [QuantConfig(method, images=50) for method in METHODS]
    configs += [QuantConfig(images=100).flipped(name) for name in quantizer.changes]
    configs.append(QuantConfig(images=100, float_layers=(quantizer.layers[0].output,)))
    for config in configs:
        predict = load_bytes(pack(quantizer.build(config), ModelSpec(SIDE, NAMES, "int8"), None))
        assert np.abs(predict(images) - expected).mean() < 0.1, config


SCALINGS = {
    "a mean a channel": PixelScaling.of(scale=(1 / 255,), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25)),
    "between two zero points": PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)),
    "a zero point": PixelScaling.of(scale=(1 / 128,), offset=(-1,)),
    "negative": PixelScaling.of(scale=(-1 / 255,), offset=(1,)),
}


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

    def run():
        passes.append(1)
        for start in range(0, 200, 30):
            yield {"x": values[start : start + 30]}

    values = np.random.default_rng(0).normal(size=(200, 50)).astype(np.float32)
    statistics = Statistics(run, (100, 200))
    statistics.ranges(QuantConfig("min-max", 200))
    assert len(passes) == 1
    found = [statistics.ranges(QuantConfig("percentile 99.9", images))["x"] for images in (100, 200)]
    assert len(passes) == 2
    edges = np.linspace(float(values.min()), float(values.max()), 2_049)
    assert found == [percentile_range(np.histogram(values[:images], edges)[0], edges, 99.9) for images in (100, 200)]


@pytest.mark.parametrize("scaling", SCALINGS.values(), ids=SCALINGS)
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_other_scalings_quantize_too(kind, scaling):
    deployable = Deployable(network(), NAMES, scaling)
    quantizer, pack = quantizer_of(kind, deployable)
    predict = load_bytes(pack(quantizer.build(QuantConfig(images=100)), ModelSpec(SIDE, NAMES, "int8"), None))
    images = pixels(50, seed=2)
    assert np.abs(predict(images) - deployable.probabilities(images)).mean() < 0.05


def operators_of(flatbuffer):
    interpreter = Interpreter(
        model_content=flatbuffer, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    return [operator["op_name"] for operator in interpreter._get_ops_details()]  # noqa: SLF001 - the only list


@pytest.mark.parametrize("scaling", [UNIT_SCALING, SCALINGS["between two zero points"], SCALINGS["a zero point"]])
def test_scaling_of_pixels_costs_no_operator_in_int8(scaling):
    quantizer, _ = quantizer_of("tflite", Deployable(network(), NAMES, scaling))
    operators = operators_of(quantizer.build(QuantConfig(images=100)))
    assert operators[:3] == ["DEQUANTIZE", "QUANTIZE", "CONV_2D"]  # none but the step from uint8 to int8
    quantizer, _ = quantizer_of("onnx", Deployable(network(), NAMES, scaling))
    graph = quantizer.build(QuantConfig(images=100)).graph
    assert not {"QuantizeLinear", "Pad", "Add", "Mul"} & {node.op_type for node in graph.node[:2]}


def test_pixels_become_the_same_int8_through_float():
    scaled = PixelScaling.of(scale=(1 / 128,), offset=(-1,))
    quantizer, _ = quantizer_of("tflite", Deployable(network(), NAMES, scaled))
    content = quantizer.build(QuantConfig(images=100))
    interpreter = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    every = np.resize(np.arange(256, dtype=np.uint8), (1, SIDE, SIDE, 3))
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], every)
    interpreter.invoke()
    quantize = interpreter._get_ops_details()[1]  # noqa: SLF001 - the only list
    quantized = interpreter.get_tensor(int(quantize["outputs"][0]))
    assert (quantized.astype(int) == every.astype(int) - 128).all()
    assert take_pixels_through_float(content) == content  # there is nothing more to do


@pytest.mark.parametrize("activation", ["softplus", "mish"])
def test_softplus_stays_in_float_where_tflite_writes_it_by_an_exponential(activation):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0), activation=activation),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)),
        ]
    )
    deployable, images = Deployable(model, NAMES), pixels(50, seed=2)
    quantizer, pack = quantizer_of("tflite", deployable)
    content = quantizer.build(QuantConfig(images=100))
    operators = operators_of(content)
    before = operators.index("EXP") - 1
    assert operators[before : before + 4] == ["DEQUANTIZE", "EXP", "ADD", "LOG"]
    answers = load_bytes(pack(content, ModelSpec(SIDE, NAMES, "int8"), None))(images)
    assert np.abs(answers - deployable.probabilities(images)).mean() < 0.01


def test_a_float_head_computes_its_logits_in_float():
    config = QuantConfig(images=100, float_head=True)
    quantizer, _ = quantizer_of("tflite", Deployable(network(), NAMES))
    assert operators_of(quantizer.build(config))[-3:] == ["DEQUANTIZE", "FULLY_CONNECTED", "SOFTMAX"]
    quantizer, _ = quantizer_of("onnx", Deployable(network(), NAMES))
    assert [node.op_type for node in quantizer.build(config).graph.node][-3:] == ["DequantizeLinear", "Gemm", "Softmax"]


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_channels_scaled_apart_are_caught_and_rescued(kind):
    deployable = Deployable(network(spread=7), NAMES)
    outcome = search_of(kind, deployable).run(100)
    first = next(entry for entry in outcome.tried if entry.stage == "calibration")
    assert first.violations
    assert first.lost_points > 3
    assert outcome.winner.judgment.passed
    steps = [entry for entry in outcome.tried if entry.stage.startswith("back to float")]
    assert 1 <= len(steps) <= 2
    assert outcome.winner.entry() == steps[-1]
    assert len(outcome.winner.config.float_layers) == len(steps)
    assert outcome.reason == f"passes with {len(steps)} of 4 layers in float"


IMPOSSIBLE = AcceptanceCriteria(max_mean_difference=0.0)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_the_way_back_to_float_stops_where_most_is_float(kind):
    search = search_of(kind, Deployable(network(), NAMES), IMPOSSIBLE)
    outcome = search.run(100, quick=True)
    assert not outcome.winner.judgment.passed
    quantizer, _ = quantizer_of(kind, Deployable(network(), NAMES))
    kept = outcome.winner.config.in_float(quantizer.layers)
    assert float_share(quantizer.layers, kept) <= 0.5
    assert "% of its multiplications would be in float, so that it is hardly faster than fp32" in outcome.reason
    assert outcome.reason.endswith("take the fp32 file")


def test_the_way_back_to_float_stops_where_nothing_is_saved():
    outcome = search_of("onnx", Deployable(network(), NAMES), IMPOSSIBLE, float_bytes=1_000).run(100, quick=True)
    assert outcome.winner.config.float_layers == ()
    assert "it would be no smaller than fp32" in outcome.reason


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_multiplications_are_those_of_the_layers(kind):
    quantizer, _ = quantizer_of(kind, Deployable(network(), NAMES))
    own = [27 * 8 * 16 * 16, 72 * 16 * 8 * 8, 144 * 16 * 8 * 8, 1_024 * 4]
    assert [layer.multiplications for layer in quantizer.layers] == own
    assert float_share(quantizer.layers, quantizer.layers[:1]) == pytest.approx(own[0] / sum(own))
    assert float_share((), ()) == 0


def test_quick_takes_the_default():
    outcome = search_of("onnx", Deployable(network(), NAMES)).run(100, quick=True)
    default = QuantConfig(images=100)
    assert [entry.summary for entry in outcome.tried] == [str(default), f"{default}, corrected biases"]


def rounded_down():
    """A classifier nearly all of whose weights are 0.45 of a step of int8, and vanish one by one, not in their sum."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, 2, padding="same", activation="relu", bias_initializer="ones"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=1.0)),
        ]
    )
    for layer in model.layers[:2]:
        kernel, bias = layer.get_weights()
        kernel[...] = 0.45 / 127 * np.sign(kernel.mean(axis=(0, 1, 2)) if kernel.shape[-1] == 8 else 1)
        kernel[1, 1] = np.eye(*kernel.shape[2:]) if kernel.shape[-1] == 8 else 1.0
        layer.set_weights([kernel, bias])
    return model


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_corrected_biases_make_up_for_rounded_weights(kind):
    deployable, images = Deployable(rounded_down(), NAMES), pixels(50, seed=2)
    quantizer, pack = quantizer_of(kind, deployable)
    expected = deployable.probabilities(images)
    for form in {QuantConfig(images=100), QuantConfig(images=100, qoperator=kind == "onnx")}:
        distances = []
        for config in (form, form.flipped("bias_correction")):
            predict = load_bytes(pack(quantizer.build(config), ModelSpec(SIDE, NAMES, "int8"), None))
            distances.append(np.abs(predict(images) - expected).mean())
        assert distances[1] < distances[0] / 3, (form, distances)


def test_corrected_biases_are_kept_only_where_they_help():
    deployable, images = Deployable(rounded_down(), NAMES), pixels(200, seed=1)
    expected = deployable.probabilities(images)
    validation = Validation(Dataset(images, expected.argmax(axis=1), NAMES), expected, DEFAULT_CRITERIA)
    quantizer, pack = quantizer_of("onnx", deployable)
    engines = Engines(lambda graph: pack(graph, ModelSpec(SIDE, NAMES, "int8"), None), load_bytes, lambda: 1_000_000)
    outcome = Search(quantizer, validation, engines).run(100, quick=True)
    assert outcome.winner.config == QuantConfig(images=100, bias_correction=True)
    assert [entry.stage for entry in outcome.tried] == ["default", "bias correction"]
    base = candidate(900, 0.002)
    assert is_closer(candidate(899, 0.0018), base)
    assert not is_closer(candidate(901, 0.00195), base)  # a tie
    assert not is_closer(candidate(850, 0.001), base)  # significantly less accurate
    assert not is_closer(candidate(900, 0.001, violations=("x",)), base)
    assert is_closer(candidate(900, 0.001, violations=("x",)), candidate(900, 0.002, violations=("x",)))


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_every_candidate_is_built_and_scored_once(kind, monkeypatch):
    search = search_of(kind, Deployable(network(spread=7), NAMES))
    built, quantizer = [], search._quantizer  # noqa: SLF001 - what is counted
    build = quantizer.build
    monkeypatch.setattr(quantizer, "build", lambda config: built.append(config) or build(config))
    outcome = search.run(100)
    assert len(built) == len(set(built))
    assert len(built) == len(outcome.tried)
    expected = load_bytes(search._engines.pack(outcome.winner.graph))  # noqa: SLF001 - what is compared
    images = search._validation.images.pixels  # noqa: SLF001 - the same
    assert np.abs(expected(images[:50]) - outcome.winner.answers[:50]).max() <= 1e-6


def candidate(right, mean_difference, violations=(), **changes):
    """Of 1,000 images the first ``right`` are right."""
    judgment = Judgment(right / 1_000, 0.0, 1.0, mean_difference, 0, 0, 1.0, "a", 0.0, violations)
    no_answers = np.zeros((1_000, 0), np.float32)
    return Candidate("x", QuantConfig(**changes), None, no_answers, np.arange(1_000) < right, judgment)


def test_accuracy_comes_first_and_slow_forms_last():
    base, head, symmetric = (
        candidate(900, 0.002),
        candidate(899, 0.001, float_head=True),
        candidate(901, 0.0001, symmetric=True),
    )
    chosen, reason = choose([base, head, symmetric], ("symmetric",))
    assert chosen is head
    assert reason == "closest to Keras of 2 fast forms that pass and whose accuracy no test tells apart"
    assert choose([base, head, symmetric], ())[0] is symmetric
    better = candidate(960, 0.0001, symmetric=True)
    assert choose([base, head, better], ("symmetric",))[0] is better  # the others are significantly worse
    failing = candidate(900, 0.001, ("over all",), float_head=True)
    assert choose([base, failing], ("symmetric",))[0] is base


def test_accuracies_that_no_test_tells_apart_are_decided_by_closeness_to_keras():
    lucky, close, closer = candidate(903, 0.008), candidate(901, 0.0021), candidate(900, 0.002)
    assert most_accurate([lucky, close, closer]) is close  # 0.0021 and 0.0020 are a tie
    assert most_accurate([lucky, candidate(850, 0.001)]) is lucky
    assert most_accurate([candidate(999, 0.001, violations=("x",)), lucky]) is lucky


def test_noise_is_summed_over_batches():
    ones = np.ones((1, 4), np.float32)
    batches = [({"a": ones}, {"a": ones + 0.1}), ({"a": 3 * ones}, {"a": 3 * ones})]
    assert noise_to_signal(["a"], batches) == [pytest.approx(0.01 / 10, rel=1e-5)]


def test_the_layer_that_adds_most_noise_goes_back_first_and_then_what_feeds_it():
    chain = (Layer("a", ("a",), ()), Layer("b", ("b",), (0,)), Layer("c", ("c",), (1,)))
    noise = [1e-4, 0.25, 0.26]
    assert next_float_layer(chain, noise, ())[0] == "b"
    assert next_float_layer(chain, noise, ("b",))[0] == "a"
    assert next_float_layer(chain, noise, ("a", "b", "c")) is None


def test_many_layers_go_back_in_few_steps():
    layers = [Layer(str(number), (str(number),), ()) for number in range(60)]
    noise, kept, sizes = [float(number) for number in range(60)], [], []
    while found := next_float_layers(layers, noise, kept):
        kept += [name for name, _ in found]
        sizes.append(len(found))
    assert kept == [str(number) for number in reversed(range(60))]
    assert sizes[:9] == [1] * 8 + [2]
    assert len(sizes) < 20


def test_recipes_read_as_one_line():
    assert str(QuantConfig()) == "min-max, 500 images, per channel, float softmax"
    assert str(QuantConfig(float_head=True)).endswith("float head and softmax")
    assert str(QuantConfig(float_layers=("x",)).flipped("symmetric")).endswith("symmetric, 1 layer in float")
    with pytest.raises(ValueError, match="method must be one of"):
        QuantConfig("magic")
    with pytest.raises(ValueError, match="at least one"):
        QuantConfig(images=0)
    assert UNIT_SCALING.scale[0] == pytest.approx(1 / 255)
