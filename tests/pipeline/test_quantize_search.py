"""The search among configs, and the way back to float."""

import re

import numpy as np
import pytest

from pipeline.data.dataset import Dataset
from pipeline.export.formats import load_bytes
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import UNIT_SCALING
from pipeline.export.quantize import onnx_int8, tflite_int8
from pipeline.export.quantize import search as search_module
from pipeline.export.quantize.acceptance import AcceptanceCriteria, Judgment
from pipeline.export.quantize.candidate import Candidate, choose, is_closer, most_accurate
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.layer import Layer, float_share
from pipeline.export.quantize.mixed_precision import next_float_layer, next_float_layers, noise_to_signal
from pipeline.export.quantize.search import Engines, Search, Validation
from quantized import DEFAULT_CRITERIA, NAMES, SIDE, network, pixels, quantizer_of, rounded_down, search_of
from runtime.spec import ModelSpec


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
    assert re.fullmatch(r"[\d,]+ µs an image, [\d,]+ with every layer in int8 \([+-][\d,]+\)", outcome.latencies)


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
    assert outcome.reason.endswith("use the fp32 file")


def test_the_way_back_to_float_stops_where_nothing_is_saved():
    outcome = search_of("onnx", Deployable(network(), NAMES), IMPOSSIBLE, float_bytes=1_000).run(100, quick=True)
    assert outcome.winner.config.float_layers == ()
    assert "it would be no smaller than fp32" in outcome.reason


def test_no_structure_is_tried_that_is_mostly_float(monkeypatch):
    deployable = Deployable(network(), NAMES)
    assert "structure" in {entry.stage for entry in search_of("onnx", deployable).run(100).tried}
    monkeypatch.setattr(search_module, "MOSTLY", -1.0)
    assert "structure" not in {entry.stage for entry in search_of("onnx", deployable).run(100).tried}


def test_quick_takes_the_default():
    outcome = search_of("onnx", Deployable(network(), NAMES)).run(100, quick=True)
    default = QuantConfig(images=100)
    assert [entry.summary for entry in outcome.tried] == [str(default), f"{default}, corrected biases"]
    assert not outcome.latencies
    assert not outcome.layers


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_search_measures_the_noise_of_each_layer(kind):
    search = search_of(kind, Deployable(network(spread=7), NAMES))
    outcome, layers = search.run(100), search._quantizer.layers  # noqa: SLF001 - what is compared
    assert [entry.name for entry in outcome.layers] == [layer.output for layer in layers]
    assert [entry.in_float for entry in outcome.layers] == [
        layer in outcome.winner.config.in_float(layers) for layer in layers
    ]
    assert sum(entry.multiplications for entry in outcome.layers) == pytest.approx(1)
    assert all(entry.noise > 0 for entry in outcome.layers)
    assert outcome.layers[0].added == outcome.layers[0].noise, "its input is exact"


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
    module, function = {"onnx": (onnx_int8, "ChannelsTogether"), "tflite": (tflite_int8, "mlir_quantize")}[kind]
    quantized, quantize = [], getattr(module, function)
    monkeypatch.setattr(module, function, lambda *args, **options: quantized.append(1) or quantize(*args, **options))
    outcome = search.run(100)
    corrected = sum(entry.stage == "bias correction" for entry in outcome.tried)
    in_operators = sum(entry.config.qoperator for entry in outcome.tried)
    assert corrected == 1
    assert len({entry.summary for entry in outcome.tried}) == len(outcome.tried)
    assert len(quantized) == len(outcome.tried) - (corrected + in_operators if kind == "onnx" else 0)
    expected = load_bytes(search._engines.pack(outcome.winner.graph))  # noqa: SLF001 - what is compared
    images = search._validation.images.pixels  # noqa: SLF001 - the same
    assert np.abs(expected(images[:50]) - outcome.winner.answers[:50]).max() <= 1e-6


def test_a_costly_network_is_screened_on_a_part_of_the_images(monkeypatch):
    monkeypatch.setattr(search_module, "COSTLY", 0)
    search = search_of("onnx", Deployable(network(spread=7), NAMES))
    built, quantizer = [], search._quantizer  # noqa: SLF001 - what is counted
    build = quantizer.build
    monkeypatch.setattr(quantizer, "build", lambda config: built.append(config) or build(config))
    outcome = search.run(100)
    assert len(built) == len(set(built)) == len(outcome.tried) - 1  # corrected biases need no new graph
    assert len(outcome.tried) == len({entry.summary for entry in outcome.tried})
    screened = [entry for entry in outcome.tried if entry.stage == "screening"]
    assert {entry.images for entry in screened} == {100}
    assert all(entry.images is None for entry in outcome.tried if entry.stage != "screening")
    judged = [[entry for entry in outcome.tried if entry.stage == stage] for stage in ("calibration", "structure")]
    assert [len(entries) for entries in judged] == [3, 2]  # the default, and the nearest two of either
    assert min(entry.mean_difference for entry in screened[:3]) > min(entry.mean_difference for entry in judged[0])
    assert outcome.winner.judgment.passed


def candidate(right, mean_difference, violations=(), **changes):
    """A candidate that is correct on the first ``right`` of 1,000 images."""
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
    assert reason == "closest to Keras of the fast configs (2) that pass without a significant difference in accuracy"
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
    assert str(QuantConfig(float_head=True)).endswith("float last layer and softmax")
    assert str(QuantConfig(ends_in="sigmoids")).endswith("float sigmoids")
    assert str(QuantConfig(float_softmax=False, float_head=True)).endswith("float last layer, int8 softmax")
    assert str(QuantConfig(float_layers=("x",)).flipped("symmetric")).endswith("symmetric, 1 layer in float")
    with pytest.raises(ValueError, match="method must be one of"):
        QuantConfig("magic")
    with pytest.raises(ValueError, match="at least one"):
        QuantConfig(images=0)
    assert UNIT_SCALING.scale[0] == pytest.approx(1 / 255)
