"""Drift finds every layer in every format, and names the damaged one."""

import shutil
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import onnx as onnx_format
import pytest
from keras import layers

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.cli import main
from pipeline.data import samples
from pipeline.data.dataset import Dataset
from pipeline.documents.drift import DriftReport, FileDrift, Layer, LayerDistance
from pipeline.errors import PipelineError
from pipeline.export import fp16_dynamic, onnx, tflite
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from pipeline.metrics.difference import LIMIT_DB, snr_db
from pipeline.verify.drift import drift
from pipeline.verify.drift.flips import flips
from pipeline.verify.drift.keras_tap import IMAGE, KerasTap
from pipeline.verify.drift.measure import _without_healed, first_past, measure
from pipeline.verify.drift.onnx_tap import OnnxTap
from pipeline.verify.drift.tables import first_label, format_drift
from pipeline.verify.drift.tflite_tap import TfliteTap
from runtime.engines.checksum import add_checksum

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (20, 4, 4, 3), np.uint8).repeat(4, 1).repeat(4, 2)


@cache
def _network(deployable):
    return onnx.convert(deployable)


@cache
def _quantizer(deployable):
    return OnnxQuantizer(_network(deployable), deployable.network_scaling, PIXELS, (len(PIXELS),))


FORMATS = {
    "fp32 ONNX": lambda deployable: OnnxTap(_fp32_onnx(deployable).SerializeToString()),
    "int8 ONNX": lambda deployable: OnnxTap(
        _quantizer(deployable).build(QuantConfig(images=len(PIXELS))).SerializeToString()
    ),
    "int8 operators": lambda deployable: OnnxTap(
        _quantizer(deployable).build(QuantConfig(images=len(PIXELS), qoperator=True)).SerializeToString()
    ),
    "dynamic ONNX": lambda deployable: OnnxTap(
        fp16_dynamic.dynamic_onnx(_network(deployable), deployable.network_scaling).SerializeToString()
    ),
    "fp16 TFLite": lambda deployable: TfliteTap(fp16_dynamic.fp16_tflite(deployable)),
    "dynamic TFLite": lambda deployable: TfliteTap(fp16_dynamic.dynamic_tflite(deployable)),
    "fp32 TFLite": lambda deployable: TfliteTap(tflite.convert(deployable)),
    "int8 TFLite": lambda deployable: TfliteTap(
        TfliteQuantizer(deployable, PIXELS, (len(PIXELS),)).build(QuantConfig(images=len(PIXELS)))
    ),
}


def _fp32_onnx(deployable):
    return onnx.fp32(_network(deployable), deployable.network_scaling)


def _weights(weight):
    """Random kernels, and small positive vectors (some are variances)."""
    size = 2 / np.sqrt(np.prod(weight.shape[:-1])) if weight.ndim > 1 else 0.2
    return RANDOM.normal(0, size, weight.shape) if weight.ndim > 1 else RANDOM.uniform(0.1, size, weight.shape)


def network():
    """A network with folded normalization, padding, depthwise, a residual, a nested model and a flatten."""
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3))
    values = layers.Conv2D(6, 2, padding="same", activation="relu", name="first")(image)
    values = layers.MaxPooling2D(2, name="pool")(values)
    values = layers.ZeroPadding2D(1, name="padding")(values)
    values = layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(values)
    values = layers.BatchNormalization(name="normal")(values)
    shortcut = layers.ReLU(6.0, name="clipped")(values)
    inner = keras.Sequential([keras.Input((8, 8, 6)), layers.Conv2D(6, 3, padding="same", name="deep")], name="inner")
    values = layers.Add(name="add")([shortcut, inner(shortcut)])
    values = layers.ReLU(name="relu")(values)
    values = layers.Flatten(name="flat")(values)
    values = layers.Dense(12, activation="relu", name="hidden")(values)
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="classes")(values))
    for layer in (*model.layers, *inner.layers):
        if layer.get_weights() and not isinstance(layer, keras.Model):
            layer.set_weights([_weights(weight) for weight in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def sound(model):
    return Deployable(model, tuple("abcd"))


@pytest.fixture(scope="module")
def reference_tap(sound):
    return KerasTap(sound)


@pytest.fixture(scope="module")
def damaged(model):
    """The same network, one layer's weights negated; the same object for the same layer."""

    @cache
    def damage(name):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        parent = copy.get_layer("inner") if name == "deep" else copy
        layer = parent.get_layer(name)
        weights = layer.get_weights()
        layer.set_weights([-weights[0], *weights[1:]])
        return Deployable(copy, tuple("abcd"))

    return damage


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_layers_are_found_over_fusion_and_layout(sound, reference_tap, form):
    found = measure(reference_tap, {form: FORMATS[form](sound)}, PIXELS)[form]
    assert {"first", "pool", "clipped", "relu", "flat", "hidden", "classes", "probabilities"} <= set(found)
    missing = {layer.name: layer.absorbable for layer in reference_tap.layers if layer.name not in found}
    assert all(missing.values()), missing
    least = 100 if form.startswith("fp32") else 20
    assert {name for name, layer in found.items() if layer.distance.snr_db < least} == set()


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("broken", ["first", "depthwise", "deep", "hidden"])
def test_damaged_layer_is_named_first(reference_tap, damaged, form, broken):
    found = measure(reference_tap, {form: FORMATS[form](damaged(broken))}, PIXELS)[form]
    # What a converter computes together with the damaged layer is all that can be read of it.
    named = {"depthwise": {"normal", "clipped"}, "deep": {"inner/deep"}}.get(broken, {broken})
    assert first_past(found, reference_tap.layers, threshold_db=15) in named


@pytest.mark.slow
@pytest.mark.parametrize("form", ["fp32 ONNX", "fp32 TFLite", "int8 TFLite"])
def test_a_channel_of_ones_is_not_taken_for_the_layer_that_reads_it(form):
    """Export adds the channel if no pixel value means 0; int8 files do not have it."""
    keras.utils.set_random_seed(0)
    convolutions = [layers.Conv2D(4, 3, padding="same", activation="relu", name=name) for name in ("first", "second")]
    ending = [layers.GlobalAveragePooling2D(name="average"), layers.Dense(4, name="logits")]
    scaling = PixelScaling.of(scale=(1 / 127.5,), offset=(-1,))
    model = keras.Sequential([keras.Input((16, 16, 3)), *convolutions, *ending])
    deployable = Deployable(model, tuple("abcd"), scaling)
    reference = KerasTap(deployable)
    assert "Pad" in {layer.kind for layer in reference.layers}
    found = measure(reference, {form: FORMATS[form](deployable)}, PIXELS)[form]
    shown = {name.rpartition("/")[2] for name in found}
    assert {"first", "second", "average", "logits", "probabilities"} <= shown
    assert first_past(found, reference.layers, threshold_db=20) is None


def test_nested_layers_and_their_sources(model):
    deployable = Deployable(model, tuple("abcd"))
    tap = KerasTap(deployable)
    by_name = {layer.name: layer for layer in tap.layers}
    assert by_name["first"].inputs == (IMAGE,)
    assert by_name["inner/deep"].inputs == ("clipped",)
    assert by_name["add"].inputs == ("clipped", "inner/deep")
    assert by_name["flat"].spatial == (8, 8, 6)
    assert {name for name, layer in by_name.items() if layer.absorbable} == {"padding", "depthwise", "normal", "add"}
    values = tap(PIXELS[:3])
    assert {len(value) for value in values.values()} == {3}
    assert np.abs(values["probabilities"] - deployable.probabilities(PIXELS[:3])).max() < 1e-5


@pytest.fixture
def copied(reference, tmp_path):
    return Path(shutil.copytree(reference, tmp_path / "reference"))


def bless(folder, name, content):
    """Write a model file, and its digest into the manifest, as export would."""
    content = add_checksum(content)
    (folder / name).write_bytes(content)
    manifest = artifacts.read_json(folder / artifacts.MANIFEST)
    manifest["files"][name] = {"bytes": len(content), "sha256": sha256(content)}
    artifacts.write_json(folder / artifacts.MANIFEST, manifest)


@pytest.mark.slow
def test_damaged_weights_in_a_file_are_named_on_screen_and_in_json(copied):
    name = artifacts.FP32_ONNX
    graph = onnx_format.load(copied / name)
    kernels = [tensor for tensor in graph.graph.initializer if list(tensor.dims) == [32, 16, 2, 2]]
    assert len(kernels) == 1
    kernel = onnx_format.numpy_helper.to_array(kernels[0])
    kernels[0].CopyFrom(onnx_format.numpy_helper.from_array(np.ascontiguousarray(kernel[::-1]), kernels[0].name))
    bless(copied, name, graph.SerializeToString())
    images = samples.read_validation(copied)
    report = drift(copied, images.take(np.arange(100)), layer_images=8)
    second = [layer.name for layer in report.layers if layer.kind == "Conv2D"][1]
    assert report.artifacts[name].first_past == second
    assert report.artifacts[name].steepest.layer == second
    assert report.artifacts[artifacts.FP32_TFLITE].first_past is None
    assert report.artifacts[name].flips
    assert DriftReport.read(copied) == report
    text = format_drift(report, flips_shown=2)
    assert f"{name}: first layer below 80 dB: {second}" in text
    assert "more, of which Keras was less sure" in text


@pytest.mark.slow
def test_command_takes_a_threshold_and_refuses_nonsense(copied, capsys):
    assert main(["drift", str(copied), "--images", "4", "--threshold", "150", "--flips", "0"]) == 0
    assert f"{artifacts.FP32_ONNX}: first layer below 150 dB: conv" in capsys.readouterr().out
    assert main(["drift", str(copied), "--images", "0"]) == 2
    assert "--images takes 1 or more" in capsys.readouterr().err


def test_images_of_other_classes_are_refused(reference):
    images = samples.read_validation(reference)
    with pytest.raises(PipelineError, match="pass photos of the model's classes"):
        drift(reference, Dataset(images.pixels, images.labels, tuple("abcdefghij")))


def test_flips_are_sorted_by_the_confidence_of_keras():
    images = Dataset(np.zeros((4, 16, 16, 3), np.uint8), np.array([0, 1, 1, 0], np.uint8), ("cat", "dog"))
    expected = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]], np.float32)
    got = np.array([[0.8, 0.2], [0.4, 0.6], [0.6, 0.4], [0.45, 0.55]], np.float32)
    rows = flips(expected, got, images)
    assert [row.image for row in rows] == [2, 3, 1]
    assert rows[0].keras_class == rows[0].true_class == "dog"
    assert rows[0].file_class == "cat"
    assert rows[0].probability == pytest.approx(0.6)


def test_absorbed_layers_are_named_with_the_one_that_shows_them():
    names = ("conv", "normal", "relu", "next")
    layers = tuple(Layer(name=name, kind="", absorbable=name in ("conv", "normal")) for name in names)
    found = dict.fromkeys(("relu", "next"), LayerDistance(snr_db=20.0, cosine=1.0))
    row = FileDrift(threshold_db=30.0, first_past="relu", layers=found, flips=())
    report = DriftReport(images=1, layer_images=1, layers=layers, artifacts={"file": row}, pictures={})
    assert first_label(report, row) == "relu (computed with conv, normal)"
    assert first_label(report, row.model_copy(update={"first_past": None})) == "none"


@pytest.mark.parametrize(
    ("found", "legend"),
    [
        ({"conv": 40.0, "dense": 40.0}, ""),
        ({"conv": 40.0, "dense": 20.0}, "; !: below the threshold"),
        ({"dense": 40.0}, "; not found: fused with the layers that follow, or removed"),
    ],
)
def test_the_legend_explains_only_marks_that_occur(found, legend):
    layers = tuple(Layer(name=name, kind="") for name in ("conv", "dense"))
    distances = {name: LayerDistance(snr_db=level, cosine=1.0) for name, level in found.items()}
    row = FileDrift(threshold_db=30.0, first_past=None, layers=distances, flips=())
    report = DriftReport(images=1, layer_images=1, layers=layers, artifacts={"file": row}, pictures={})
    line = format_drift(report).split("\n\n")[0].splitlines()[-1]
    assert line == "20 dB: the error is a tenth of the output; 40 dB: a hundredth" + legend


def test_decibels():
    signal = np.array([[3.0, 4.0]], np.float32)
    assert snr_db(signal, signal * 1.1) == pytest.approx(20, abs=1e-3)
    assert snr_db(signal, signal) == LIMIT_DB
    assert snr_db(signal * 0, signal) == -LIMIT_DB
    assert snr_db(signal, signal * np.float32("nan")) == -LIMIT_DB


@pytest.mark.parametrize(("own", "after", "is_kept"), [(5, 30, False), (5, 20, True), (12, 40, True)])
def test_a_layer_far_from_the_reference_before_a_close_one_was_matched_with_something_else(own, after, is_kept):
    graph = [SimpleNamespace(name="first", inputs=(IMAGE,)), SimpleNamespace(name="second", inputs=("first",))]
    distances = {"first": own, "second": after}
    drifts = {name: SimpleNamespace(distance=SimpleNamespace(snr_db=snr)) for name, snr in distances.items()}
    assert ("first" in _without_healed(graph, drifts)) is is_kept
