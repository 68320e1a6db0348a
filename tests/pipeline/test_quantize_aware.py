"""The simulation of int8 in training, compared with the exported int8 files."""

import contextlib
import io
from dataclasses import asdict

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers
from onnx import numpy_helper
from onnxruntime.quantization.quant_utils import QuantType, quantize_data

import pipeline.training
from painted_photos import paint
from pipeline import cli
from pipeline.artifacts import sha256
from pipeline.data.dataset import Dataset
from pipeline.documents.history import EpochRecord, History
from pipeline.documents.quantize_aware import QuantizeAware, Scheme
from pipeline.errors import ArchitectureError, ExportError
from pipeline.export import Settings, export, tflite
from pipeline.export import onnx as onnx_export
from pipeline.export.formats import load_bytes
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.head import logits_model
from pipeline.export.load.model import Source
from pipeline.export.quantize.config import LEARNED, QuantConfig
from pipeline.export.quantize.fake_quantize import fake_quantize, fake_quantize_weights, step_of, weight_step
from pipeline.export.quantize.learned import Learned, simulation_of
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.simulation import Simulation
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from pipeline.metrics.calibration import softmax
from pipeline.models import build
from pipeline.system.traced_tflite import TracedTflite
from pipeline.training.quantize_aware.ranges import LearnedRanges, measure
from quantized import NAMES, SIDE, pixels
from runtime.spec import ModelSpec

SCHEMES = {
    "per channel": Scheme(),
    "per tensor": Scheme(per_channel=False),
    "7 bits": Scheme(reduce_range=True),
    "7 bits per tensor": Scheme(per_channel=False, reduce_range=True),
}


def ranges_of(*ends):
    return tuple(tf.constant(end, tf.float32) for end in ends)


@pytest.mark.parametrize("ends", [(0.0, 6.0), (-1.7, 2.9), (-3.0, 0.0), (-0.125, 127.375 / 4)])
def test_activations_are_rounded_as_onnx_rounds_them(ends):
    low, high = ranges_of(*ends)
    step = np.float32(step_of(low, high))
    zero = np.uint8(np.round(-low / step))
    values = np.random.default_rng(0).normal(0, 3, 10_000).astype(np.float32)
    values[:512] = (np.arange(512, dtype=np.float32) - 128.5) * step  # halfway between two steps
    nodes = [
        onnx.helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        onnx.helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.array(value), name) for value, name in ((step, "step"), (zero, "zero"))]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [10_000]) for name in "xy"]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "round", ends[:1], ends[1:], constants))
    expected = onnx.reference.ReferenceEvaluator(model).run(None, {"x": values})[0]
    np.testing.assert_array_equal(fake_quantize(tf.constant(values), low, high), expected)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_weights_are_rounded_as_the_exporter_rounds_them(scheme):
    kernel = np.random.default_rng(0).normal(0, 0.2, (64, 10)).astype(np.float32)
    step = weight_step(tf.constant(kernel), scheme, (0,))
    columns = kernel.T if scheme.per_channel else [kernel]
    of_columns = [
        quantize_data(column, QuantType.QInt8.tensor_type, symmetric=True, reduce_range=scheme.reduce_range)
        for column in columns
    ]
    expected = np.stack([levels for *_, levels in of_columns], axis=-1).reshape(kernel.shape)
    np.testing.assert_array_equal(np.round(fake_quantize_weights(tf.constant(kernel), step) / step), expected)


def test_gradients_pass_through_the_rounding():
    values, low, high = tf.constant([-1.0, -0.2, 0.301, 0.302, 2.0]), *ranges_of(-0.5, 1.0)
    with tf.GradientTape() as tape:
        tape.watch([values, high])
        result = tf.reduce_sum(fake_quantize(values, low, high))
    of_values, of_high = tape.gradient(result, [values, high])
    np.testing.assert_allclose(of_values, [0, 1, 1, 1, 0], atol=1e-6)  # none beyond the ends
    assert of_high > 0.5  # the value above the end wants it higher
    kernel = tf.constant([[0.1, -0.2], [0.3, 0.4]])
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        result = tf.reduce_sum(fake_quantize_weights(kernel, weight_step(kernel, Scheme(), (0,))))
    np.testing.assert_allclose(tape.gradient(result, kernel), np.ones((2, 2)), atol=1e-6)


def residual():
    """A network with all layers of mobile networks: normalization, depthwise, ReLU6, a sum, pooling, a hard swish."""
    keras.utils.set_random_seed(0)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(image)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = start = layers.ReLU(6.0, name="stem_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_norm", scale=False)(x)
    x = layers.Activation("hard_swish", name="swish")(x)
    x = layers.Conv2D(8, 1, name="narrow")(x)
    x = layers.ReLU(name="sum_relu")(layers.Add(name="sum")([start, x]))
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.5)(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="classes")(x))
    random = np.random.default_rng(1)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([np.abs(random.normal(0.5, 0.3, weight.shape)) + 0.1 if "variance" in variable.path else
                               random.normal(0, 0.6, weight.shape) for weight, variable in
                               zip(layer.get_weights(), layer.weights, strict=True)])  # fmt: skip
    return model


POINTS = ["stem_relu", "depthwise_norm", "swish", "narrow", "sum_relu", "pool", "classes"]


def trained_of(deployable, scheme, shrunk=0.8):
    """The result of a training whose ranges are not minimum and maximum."""
    simulation = simulation_of(deployable, logits_model(deployable.model))
    simulation.round_weights(scheme)
    found = measure(simulation, [deployable.scaling(pixels(100))])
    ranges = LearnedRanges(
        simulation.points, {name: (low * shrunk, high * shrunk) for name, (low, high) in found.items()}
    )
    shares = dict.fromkeys(("accuracy", "float_accuracy", "before"), 0.5)
    trained = QuantizeAware(
        per_channel=scheme.per_channel,
        reduce_range=scheme.reduce_range,
        epochs=1,
        images=1,
        ranges=ranges.numbers(),
        **shares,
    )
    return simulation, ranges(), trained


def test_points_are_where_the_files_round():
    assert list(Simulation(logits_model(residual())).points) == POINTS


def answers_of(kind, deployable, trained, images):
    """Of an exported file, with its graph."""
    learned, scheme = Learned(deployable, trained), trained.scheme
    reduces = scheme.reduce_range and kind == "onnx"
    config = QuantConfig(LEARNED, 100, per_channel=scheme.per_channel, reduce_range=reduces)
    if kind == "onnx":
        prepared = deployable.for_int8
        scaling = prepared.network_scaling
        quantizer = OnnxQuantizer(onnx_export.convert(prepared), scaling, pixels(100), (100,), learned=learned)
        pack = onnx_export.with_metadata
    else:
        quantizer, pack = TfliteQuantizer(deployable, pixels(100), (100,), learned), tflite.with_metadata
    graph = quantizer.build(config)
    return load_bytes(pack(graph, ModelSpec(SIDE, NAMES, "int8"), None))(images), graph


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_the_onnx_file_computes_what_the_simulation_computes(scheme):
    deployable, images = Deployable(residual(), NAMES, temperature=1.5), pixels(200, seed=2)
    simulation, ranges, trained = trained_of(deployable, scheme)
    got, graph = answers_of("onnx", deployable, trained, images)
    logits = simulation(tf.constant(deployable.scaling(images)), scheme, ranges)
    same = np.abs(softmax(logits.numpy() / 1.5) - got).max(axis=1) < 1e-5
    assert same.mean() > 0.97  # float sums may round another way where they lie halfway between two steps
    scales = [float(numpy_helper.to_array(constant)) for constant in graph.graph.initializer if not constant.dims]
    steps = {
        name: (high - low) / 255 / (1.5 if name == "classes" else 1) for name, (low, high) in trained.ranges.items()
    }
    missing = [name for name, step in steps.items() if not np.isclose(scales, step, rtol=1e-5).any()]
    assert not missing


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(per_channel=False)])
def test_the_tflite_file_computes_nearly_that(scheme):
    deployable, images = Deployable(residual(), NAMES), pixels(200, seed=2)
    simulation, ranges, trained = trained_of(deployable, scheme)
    got, _ = answers_of("tflite", deployable, trained, images)
    expected = softmax(simulation(tf.constant(deployable.scaling(images)), scheme, ranges).numpy())
    assert np.abs(got - expected).mean() < 2e-3
    assert (got.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.97
    whole = softmax(simulation(tf.constant(deployable.scaling(images))).numpy())
    assert np.abs(got - whole).mean() > 2 * np.abs(got - expected).mean()  # the ranges clip, and the file knows them


def excited():
    """Channels of a single pixel that are weighted by squeeze-and-excitation: TFLite squeezes them to (C,)."""
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(8, 3, strides=SIDE, padding="same", activation="relu")(image)
    weights = layers.Conv2D(8, 1, activation="hard_sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Add()([x, layers.Conv2D(8, 1)(layers.Multiply()([x, weights]))])
    x = layers.Flatten()(layers.Conv2D(len(NAMES), 1)(layers.Conv2D(12, 1, activation="hard_silu")(x)))
    return keras.Model(image, layers.Softmax()(x))


def test_an_activation_without_an_axis_for_the_batch_has_its_range():
    keras.utils.set_random_seed(0)
    deployable, images = Deployable(excited(), NAMES), pixels(100, seed=2)
    simulation, ranges, trained = trained_of(deployable, Scheme())
    got, graph = answers_of("tflite", deployable, trained, images)
    traced = TracedTflite(graph)
    assert (8,) in [tuple(traced.tensors[operator.outputs[0]].shape) for operator in traced.operators]
    expected = softmax(simulation(tf.constant(deployable.scaling(images)), Scheme(), ranges).numpy())
    assert np.abs(got - expected).mean() < 2e-3


def test_ranges_of_another_network_are_refused():
    deployable = Deployable(residual(), NAMES)
    _, _, trained = trained_of(deployable, Scheme())
    fewer = trained.model_copy(update={"ranges": dict(list(trained.ranges.items())[1:])})
    with pytest.raises(ExportError, match="another network: they name 6 points, the network has 7"):
        answers_of("onnx", deployable, fewer, pixels(1))


def test_layers_without_a_known_form_are_named():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2DTranspose(4, 2, name="up"), layers.Flatten()])
    with pytest.raises(ArchitectureError, match=r"the layer up \(Conv2DTranspose\) has no int8 form"):
        Simulation(model)


def test_an_activation_inside_a_layer_is_rounded_on_both_sides():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="silu", name="inside"),
                              layers.Flatten()])  # fmt: skip
    simulation, image = Simulation(model), tf.random.stateless_normal((2, 8, 8, 3), (0, 0))
    assert list(simulation.points) == ["inside/linear", "inside"]
    np.testing.assert_allclose(simulation(image), model(image), rtol=1e-5, atol=1e-6)
    found = simulation(image, ranges={"inside/linear": ranges_of(-255.0, 0.0), "inside": ranges_of(-255.0, 255.0)})
    assert np.unique(found).size == 1  # steps of 1 and of 2 leave nothing of the values


def test_channels_that_normalization_switches_off_keep_their_weights():
    model = residual()
    norm = model.get_layer("stem_norm")
    norm.gamma.assign(np.array([0, 1, -1, 2, 0, 1, 1, 1], np.float32))
    before = model.get_layer("stem").get_weights()[0]
    Simulation(logits_model(model)).round_weights(Scheme())
    after = model.get_layer("stem").get_weights()[0]
    np.testing.assert_array_equal(after[..., [0, 4]], before[..., [0, 4]])
    np.testing.assert_allclose(after, before, atol=np.abs(before).max() / 127)


def test_nested_models_are_opened():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu", name="inside")])
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 127.5, -1), inner, layers.Flatten(),
                              layers.Dense(2, name="outside")])  # fmt: skip
    simulation, image = Simulation(model), np.random.default_rng(0).normal(128, 50, (2, 8, 8, 3)).astype(np.float32)
    assert list(simulation.points) == ["inside", "outside"]
    np.testing.assert_allclose(simulation(tf.constant(image)), model(image), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A small model, fine-tuned by the command with per-tensor 7-bit weights and exported; photos and output."""
    folder = tmp_path_factory.mktemp("tuned")
    for number in range(40):
        paint(folder / "photos" / NAMES[number % 4] / f"{number}.png", number)
    keras.utils.set_random_seed(0)
    frozen = layers.Conv2D(8, 3, strides=2, activation="relu", trainable=False)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax", name="classes")]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), frozen, *head])
    model.save(folder / "start.keras")
    (folder / "names.txt").write_text("\n".join(NAMES))
    start = [str(folder / "start.keras"), "--classes", str(folder / "names.txt"), "--data", str(folder / "photos")]
    rest = ["--out", str(folder / "out"), "--epochs", "1", "--batch-size", "8", "--learning-rate", "0.01"]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = cli.main(["fine-tune", *start, *rest, "--quantize-aware", "--per-tensor", "--reduce-range"])
    assert status == 0
    return folder / "out", model, output.getvalue()


@pytest.mark.slow
def test_fine_tuning_leaves_a_plain_model_and_its_ranges(tuned):
    out, start, output = tuned
    assert "With simulated int8: " in output
    model, history = keras.models.load_model(out / "model.keras"), History.read(out)
    assert [layer.name for layer in model.layers] == [layer.name for layer in start.layers]
    for before, after in zip(start.get_weights(), model.get_weights(), strict=True):
        assert np.abs(before - after).max() > 1e-4  # those of the frozen layer, too
    assert not model.layers[0].trainable
    kernel = model.layers[-1].get_weights()[0]
    levels = kernel / (np.abs(kernel).max() / 64)
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)  # rounded in 7 bits already
    trained = history.quantize_aware
    assert (trained.per_channel, trained.reduce_range, trained.images) == (False, True, history.images.validation)
    assert list(trained.ranges)[-1] == "classes"


@pytest.mark.slow
def test_export_rounds_as_training_did(tuned, tmp_path):
    model = tuned[0] / "model.keras"
    images = Dataset(pixels(60), np.arange(60) % 4, NAMES)
    manifest = export(Source(model), tmp_path, images, images, Settings(files=("model_int8.onnx", "model_int8.tflite")))
    for name, weights in (("model_int8.onnx", ", 7-bit weights"), ("model_int8.tflite", "")):
        assert manifest.decisions[name].summary == f"ranges learned in training, per tensor, float softmax{weights}"
        assert [candidate.stage for candidate in manifest.decisions[name].candidates] == ["training"]


def trained_before(_training, _validation, out, settings, _run_options):
    """The files of a training, without running it."""
    out.mkdir()
    build(settings.model, len(NAMES), SIDE).save(out / "model.keras")
    history = History(
        model_sha256=sha256((out / "model.keras").read_bytes()), settings=asdict(settings), class_names=NAMES,
        best_epoch=1, validation_accuracy=0.5,
        epochs=(EpochRecord(epoch=1, seconds=1, accuracy=0, loss=0, val_accuracy=0, val_loss=0, learning_rate=0),),
    )  # fmt: skip
    history.write(out)
    return history


@pytest.mark.slow
def test_training_from_nothing_ends_with_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(pipeline.training, "train", trained_before, raising=False)
    for number in range(40):
        paint(tmp_path / "photos" / NAMES[number % 4] / f"{number}.png", number)
    options = ["--data", str(tmp_path / "photos"), "--from-scratch", "--side", "16", "--out", str(tmp_path / "out")]
    assert cli.main(["train", *options, "--epochs", "1", "--batch-size", "8", "--quantize-aware"]) == 0
    assert "With simulated int8: " in capsys.readouterr().out
    history = History.read(tmp_path / "out")
    assert list(history.quantize_aware.ranges) == ["conv1", "conv2", "conv3", "hidden", "classes"]
    assert (history.settings["epochs"], len(history.epochs)) == (1, 6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--per-tensor"], "--per-tensor applies only with --quantize-aware: add that"),
        (["--distillation-weight", "2"], "distillation weight must be 0 to 1, got 2.0"),
        (["--imitation", "2"], "--imitation is now --distillation-weight\nerror: distillation weight must be 0 to 1"),
        (["--epochs", "0"], "epochs must be 1 or more, got 0"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(tmp_path, capsys, options, said):
    assert cli.main(["fine-tune", "no.keras", "--out", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err
