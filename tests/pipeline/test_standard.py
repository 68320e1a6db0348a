"""Classifiers with other outputs, inputs or dtypes become equivalent ones of RGB images and at least two classes."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_outputs import keras_outputs
from pipeline.data.dataset import Dataset
from pipeline.documents.manifest import Manifest
from pipeline.errors import ExportError
from pipeline.export import Settings, export
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.dtype import computes_in
from pipeline.export.load.gray import LUMA
from pipeline.export.load.model import Source, load, load_exported
from pipeline.export.load.scaling import UNIT_SCALING
from pipeline.export.load.standard import in_color, plain_model
from pipeline.formats import MODEL_FILES
from pipeline.verify.parity import verify
from runtime import Classifier

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def _restored_policy():
    keras.utils.set_random_seed(3)
    yield
    keras.config.set_dtype_policy("float32")


def with_head(*head, channels=3, stem=()):
    body = [layers.Conv2D(4, 3, padding="same", activation="relu"), layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((16, 16, channels)), *stem, *body, *head])


def sigmoid(values):
    return 1 / (1 + np.exp(-values.astype(np.float64)))


def nested_sigmoid():
    image = keras.Input((16, 16, 3))
    head = keras.Sequential([keras.Input((4,)), layers.Dense(1, "sigmoid")])
    return keras.Model(image, head(with_head()(image)))


@pytest.mark.parametrize(
    ("build", "logit"),
    [
        (lambda: with_head(layers.Dense(1, "sigmoid")), False),
        (lambda: with_head(layers.Dense(1, "sigmoid", use_bias=False)), False),
        (lambda: with_head(layers.Dense(1)), True),
        (lambda: with_head(layers.Dense(1), layers.Activation("sigmoid")), False),
        (lambda: with_head(layers.Dense(1), layers.Rescaling(3.0), layers.Activation("sigmoid")), False),
        (nested_sigmoid, False),
    ],
    ids=["dense", "no bias", "logit", "activation", "steepened", "nested"],
)
def test_one_number_is_two_classes(build, logit):
    model = build()
    answer = keras_outputs(model, UNIT_SCALING(PIXELS))[:, 0]
    expected = sigmoid(answer) if logit else answer
    deployable = Deployable(plain_model(model), ("no", "yes"))
    assert np.abs(deployable.probabilities(PIXELS)[:, 1] - expected).max() <= 1e-6
    traced = np.asarray(deployable.trace(deployable.network_scaling(PIXELS)))
    assert np.abs(traced[:, 1] - expected).max() <= 1e-6
    assert not any(node.op == "Sigmoid" for node in deployable.frozen.node)


def in_rows(*shape, rescaled=False):
    stem = [layers.Rescaling(1 / 255)] if rescaled else []
    return keras.Sequential([keras.Input(shape), *stem, layers.Flatten(), layers.Dense(8, "relu"), layers.Dense(3)])


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((16, 16), None), ((256,), None), ((768,), None), ((256,), (16, 16)), ((128,), (8, 16)), ((16, 12), None)],
)
def test_pixels_in_another_shape_are_a_picture(tmp_path, shape, size, name):
    model = in_rows(*shape)
    model.save(tmp_path / name)
    deployable = load(Source(tmp_path / name, NAMES, size=size))
    height, width = deployable.size
    assert height * width in {int(np.prod(shape)), int(np.prod(shape)) // 3}
    assert len(shape) == 1 or (height, width) == shape
    channels = 3 if shape == (768,) else 1
    pixels = PIXELS[:, :height, :width, :channels].repeat(3 // channels, axis=3)
    logits = model.predict(UNIT_SCALING(pixels)[..., :channels].reshape(len(pixels), *shape), verbose=0)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(deployable.probabilities(pixels) - expected).max() <= 1e-5
    assert np.abs(np.asarray(deployable.trace(deployable.network_scaling(pixels))) - expected).max() <= 1e-5


def test_rows_of_pixels_that_the_model_scales_get_0_to_255(tmp_path):
    in_rows(16, 16, rescaled=True).save(tmp_path / "model.keras")
    assert load(Source(tmp_path / "model.keras", NAMES)).scaling.scale == (1, 1, 1)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_a_map_of_one_place_is_a_vector(tmp_path, activation):
    head = [layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(3, 1, activation=activation)]
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, activation="relu"), *head])
    model.save(tmp_path / "model.keras")
    deployable = load(Source(tmp_path / "model.keras", NAMES))
    assert deployable.output == (activation or "logits")
    answers = model.predict(UNIT_SCALING(PIXELS), verbose=0).reshape(4, 3)
    expected = answers if activation else np.exp(answers) / np.exp(answers).sum(axis=1, keepdims=True)
    assert np.abs(deployable.probabilities(PIXELS) - expected).max() <= 1e-6
    assert np.abs(np.asarray(deployable.trace(deployable.network_scaling(PIXELS))) - expected).max() <= 1e-6


def test_an_end_that_is_no_answer_names_the_file(tmp_path):
    with_head(layers.Dense(3, "tanh")).save(tmp_path / "model.keras")
    with pytest.raises(
        ExportError, match=r"model\.keras: the model ends in the activation tanh .*: train it with one of"
    ):
        load(Source(tmp_path / "model.keras", NAMES))


def test_a_last_dense_layer_holds_both_classes():
    assert plain_model(with_head(layers.Dense(1, "sigmoid"))).layers[-1].get_weights()[0].shape == (4, 2)
    assert len(plain_model(with_head(layers.Dense(1, "sigmoid"))).layers) == len(with_head(layers.Dense(1)).layers) + 1


@pytest.mark.parametrize(("names", "expected"), [(("no", "yes"), ("no", "yes")), (("cat",), ("not cat", "cat"))])
def test_one_name_is_enough_for_two_classes(tmp_path, names, expected):
    with_head(layers.Dense(1, "sigmoid")).save(tmp_path / "model.keras")
    assert load(Source(tmp_path / "model.keras", names)).class_names == expected


def test_several_sigmoids_are_labels_of_their_own(tmp_path):
    with_head(layers.Dense(3, "sigmoid")).save(tmp_path / "model.keras")
    assert load(Source(tmp_path / "model.keras", NAMES)).multi_label


GRAY = {
    "convolution": lambda: with_head(layers.Dense(3), channels=1),
    "scaled": lambda: with_head(layers.Dense(3), channels=1, stem=[layers.Rescaling(1 / 127.5, -1)]),
    "normalized": lambda: with_head(
        layers.Dense(3), channels=1, stem=[layers.Normalization(mean=[0.4], variance=[0.2])]
    ),
    "padded": lambda: with_head(layers.Dense(3), channels=1, stem=[layers.ZeroPadding2D(2)]),
    "depthwise": lambda: with_head(layers.Dense(3), channels=1, stem=[layers.DepthwiseConv2D(3)]),
    "dense": lambda: keras.Sequential([keras.Input((16, 16, 1)), layers.Flatten(), layers.Dense(3)]),
    "padded dense": lambda: keras.Sequential(
        [keras.Input((16, 16, 1)), layers.ZeroPadding2D(1), layers.Flatten(), layers.Dense(3)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("build", GRAY.values(), ids=GRAY)
def test_a_gray_model_takes_rgb_and_answers_what_it_says_of_the_luma(build):
    model = build()
    luma = UNIT_SCALING(PIXELS) @ np.array(LUMA, np.float32)
    deployable = Deployable(in_color(plain_model(model)), NAMES)
    assert deployable.model.input_shape == (None, 16, 16, 3)
    expected = keras_outputs(model, luma[..., np.newaxis])
    got = keras_outputs(deployable.network, deployable.network_scaling(PIXELS))
    assert np.abs(got - expected).max() <= 2e-6 * max(1, np.abs(expected).max())


def test_a_gray_picture_is_answered_as_before():
    model = with_head(layers.Dense(3), channels=1)
    gray = np.repeat(PIXELS[..., :1], 3, axis=3)
    expected = keras_outputs(model, UNIT_SCALING(gray)[..., :1])
    got = keras_outputs(in_color(plain_model(model)), UNIT_SCALING(gray))
    assert np.abs(got - expected).max() <= 1e-6


@pytest.mark.parametrize("name", ["convolution", "scaled", "dense"])
def test_luma_costs_no_layer_where_weights_can_hold_it(name):
    assert not any(layer.name == "luma" for layer in in_color(GRAY[name]())._flatten_layers())  # noqa: SLF001
    assert any(layer.name == "luma" for layer in in_color(GRAY["depthwise"]())._flatten_layers())  # noqa: SLF001


@pytest.mark.parametrize(
    "end",
    [
        [lambda: layers.Dense(3), lambda: layers.Activation("log_softmax")],
        [lambda: layers.Dense(3, "log_softmax")],
        [lambda: layers.Dense(3), lambda: layers.Rescaling(1 / 2.5), layers.Softmax],
        [lambda: layers.Dense(3), layers.Softmax, lambda: layers.Activation("linear", dtype="float32")],
    ],
    ids=["log-softmax", "log-softmax of dense", "temperature", "softmax, then float32"],
)
def test_heads(end):
    model = with_head(*(layer() for layer in end))
    answer = keras_outputs(model, UNIT_SCALING(PIXELS))
    expected = answer if (answer >= 0).all() else np.exp(answer)
    for deployable in (Deployable(model, NAMES), Deployable(model, NAMES, temperature=2.0)):
        powers = expected ** (1 / deployable.temperature)
        tempered = powers / powers.sum(axis=1, keepdims=True)
        assert np.abs(deployable.probabilities(PIXELS) - tempered).max() <= 1e-6
        traced = np.asarray(deployable.trace(deployable.network_scaling(PIXELS)))
        assert np.abs(traced - tempered).max() <= 1e-6


def test_the_output_that_is_named_is_exported(tmp_path):
    image = keras.Input((16, 16, 3))
    features = with_head()(image)
    kind, weight = layers.Dense(3, "softmax", name="kind")(features), layers.Dense(1, name="weight")(features)
    model = keras.Model(image, [kind, weight])
    model.save(tmp_path / "model.keras")
    with pytest.raises(ExportError, match=r"has 2 outputs \(kind, weight\); .* --output NAME"):
        load(Source(tmp_path / "model.keras", NAMES))
    with pytest.raises(ExportError, match=r"no output 'x'; it has kind, weight"):
        load(Source(tmp_path / "model.keras", NAMES, output="x"))
    deployable = load(Source(tmp_path / "model.keras", NAMES, output="kind"))
    expected = keras_outputs(model, UNIT_SCALING(PIXELS))[0]
    assert np.abs(deployable.probabilities(PIXELS) - expected).max() <= 1e-6


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "float64"])
def test_other_types_are_computed_in_float32(tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    recurrent = [
        layers.Reshape((16, 48)),
        layers.Bidirectional(layers.LSTM(4, recurrent_initializer="zeros")),
        layers.BatchNormalization(),
    ]
    model = keras.Sequential([keras.Input((16, 16, 3)), *recurrent, layers.Dense(3, "softmax")])
    keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "model.keras")
    deployable = load(Source(tmp_path / "model.keras", NAMES))
    assert computes_in(deployable.model, "float32")
    assert not computes_in(model, "float32")
    got, expected = deployable.probabilities(PIXELS), keras_outputs(model, UNIT_SCALING(PIXELS))
    assert got.dtype == np.float32
    assert np.abs(got - expected.astype(np.float32)).max() <= (0.03 if "16" in policy else 1e-6)


def any_size():
    return keras.Sequential(
        [keras.Input((None, None, 3)), layers.Conv2D(4, 3, strides=2), layers.GlobalMaxPooling2D(), layers.Dense(3)]
    )


def test_a_model_of_any_size_takes_the_one_that_is_asked_for(tmp_path):
    any_size().save(tmp_path / "model.keras")
    deployable = load(Source(tmp_path / "model.keras", NAMES, size=(12, 20)))
    assert (deployable.size, deployable.side, deployable.width) == ((12, 20), 12, 20)
    with_head(layers.Dense(3)).save(tmp_path / "model.keras")
    assert load(Source(tmp_path / "model.keras", NAMES, size=(16, 16))).width is None
    with pytest.raises(ExportError, match="takes images of 16x16 pixels, asked for 20x12: leave the size out"):
        load(Source(tmp_path / "model.keras", NAMES, size=(12, 20)))


@pytest.fixture(scope="module")
def oblong(tmp_path_factory):
    """An export of a model of pictures 24 pixels high and 40 wide."""
    folder = tmp_path_factory.mktemp("oblong")
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((24, 40, 3)),
            layers.Conv2D(8, 2, padding="same", activation="relu"),  # grouped in ONNX
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.save(folder / "model.keras")
    random = np.random.default_rng(1)
    images = Dataset(random.integers(0, 256, (24, 24, 40, 3), np.uint8), np.arange(24) % 3, NAMES)
    export(Source(folder / "model.keras", NAMES), folder / "out", images, images, Settings(quick=True))
    return folder / "out", images


@pytest.mark.slow
def test_an_oblong_model_goes_into_every_format(oblong):
    folder, images = oblong
    expected = load_exported(folder).probabilities(images.pixels)
    for name in MODEL_FILES:
        classifier = Classifier(folder / name)
        assert classifier.spec.shape == (24, 40, 3)
        assert np.abs(classifier.predict(images.pixels) - expected).max() <= (1e-5 if "fp32" in name else 0.1)
        assert classifier.golden().pixels.shape[1:] == (24, 40, 3)
    assert Manifest.read(folder).size == (24, 40)
    report = verify(folder, images)
    assert all(row.agreement >= 0.9 for row in report.measured.values())


def test_a_nested_model_of_any_size(tmp_path):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Dense(3)(any_size()(layers.Rescaling(1 / 127.5, -1)(image))))
    model.save(tmp_path / "model.keras")
    deployable = load(Source(tmp_path / "model.keras", NAMES, size=(16, 16)))
    expected = keras_outputs(model, PIXELS.astype(np.float32))
    logits = keras_outputs(deployable.network, deployable.network_scaling(PIXELS))
    assert np.abs(logits - expected).max() <= 1e-5
