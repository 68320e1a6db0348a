"""The reference: scaling, softmax and temperature as the device computes them."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_outputs import keras_outputs
from pipeline.errors import ExportError
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.front import front
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (4, 16, 16, 3), np.uint8)
NAMES = ("a", "b", "c")


def with_head(*head, stem=()):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [keras.Input((16, 16, 3)), *stem, layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), *head]
    )


def nested_head(activation="softmax"):
    image = keras.Input((16, 16, 3))
    head = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation)])
    return keras.Model(image, head(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))))


def convolution_head(*end):
    keras.utils.set_random_seed(3)
    pooled = [layers.Conv2D(3, 1), layers.GlobalAveragePooling2D()]
    return keras.Sequential([keras.Input((16, 16, 3)), *pooled, *end])


def summing_head():
    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3))
    features = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image))
    return keras.Model(image, layers.Add()([layers.Dense(3)(features), layers.Dense(3)(features)]))


@pytest.mark.parametrize(
    ("model", "softmax"),
    [
        (lambda: with_head(layers.Dense(3)), False),
        (lambda: with_head(layers.Dense(3), layers.Dropout(0.5), layers.Activation("linear")), False),
        (lambda: with_head(layers.Dense(3, "softmax")), True),
        (lambda: with_head(layers.Dense(3), layers.Softmax()), True),
        (lambda: with_head(layers.Dense(3), layers.Activation("softmax"), layers.Reshape((3,))), True),
        (nested_head, True),
        (lambda: nested_head(None), False),
        (convolution_head, False),
        (lambda: convolution_head(layers.Softmax()), True),
        (summing_head, False),
    ],
    ids=[
        "logits",
        "logits behind dropout",
        "dense softmax",
        "softmax layer",
        "softmax behind reshape",
        "nested",
        "nested logits",
        "averaged convolution",
        "softmax of averages",
        "sum",
    ],
)
def test_softmax_is_computed_once_and_tempered(model, softmax):
    deployable = Deployable(model(), NAMES, temperature=1.7)
    assert deployable.ends_in_softmax == softmax
    answers = keras_outputs(deployable.model, UNIT_SCALING(PIXELS)).astype(np.float64)
    powers = np.exp(answers / 1.7) if not softmax else answers ** (1 / 1.7)
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert np.abs(deployable.probabilities(PIXELS) - expected).max() <= 1e-6
    assert np.abs(np.asarray(deployable.trace(deployable.network_scaling(PIXELS))) - expected).max() <= 1e-6


@pytest.mark.parametrize(
    ("model", "folded"),
    [
        (lambda: with_head(layers.Dense(3, "softmax")), True),
        (lambda: with_head(layers.Dense(3), layers.Dropout(0.5)), True),
        (nested_head, True),
        (convolution_head, True),
        (summing_head, False),
        (lambda: with_head(layers.Dense(3), layers.BatchNormalization()), False),
    ],
    ids=["dense softmax", "logits", "nested", "averaged convolution", "sum", "normalized"],
)
def test_temperature_is_in_the_last_weights_where_they_can_hold_it(model, folded):
    plain, tempered = (
        sorted(node.op for node in deployable.frozen.node)
        for deployable in (Deployable(model(), NAMES), Deployable(model(), NAMES, temperature=1.7))
    )
    assert (tempered == plain) == folded


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_other_heads_are_refused(activation):
    with pytest.raises(ExportError, match=f"ends in the activation {activation}.* expected softmax over the classes"):
        Deployable(with_head(layers.Dense(3, activation)), NAMES)


def test_scaling_options_make_one_scale_and_offset():
    scaling = PixelScaling.of(scale=(1 / 255,), mean=(0.5, 0.25, 0.0), std=(0.5, 1.0, 2.0))
    expected = (PIXELS / 255 - [0.5, 0.25, 0.0]) / [0.5, 1.0, 2.0]
    assert np.abs(scaling(PIXELS) - expected).max() <= 1e-6
    assert (PixelScaling.of()(PIXELS) == UNIT_SCALING(PIXELS)).all()


@pytest.mark.parametrize(
    "options", [{"mean": (1, 2)}, {"std": (0,)}, {"std": (1, 1, -1)}, {"scale": (float("nan"),)}, {"scale": (0,)}]
)
def test_invalid_scalings_are_refused(options):
    with pytest.raises(ExportError):
        PixelScaling.of(**options)


def test_leading_scaling_layers_join_the_pixel_scaling():
    normalization = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.09, 0.01])
    model = with_head(layers.Dense(3), stem=(layers.Rescaling(1 / 255), normalization))
    deployable = Deployable(model, NAMES, PixelScaling.of(scale=(1,)))
    own = front(model).scaling
    expected = (PIXELS / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.1]
    assert np.abs(own(PIXELS) - expected).max() <= 1e-5
    assert not any(isinstance(layer, layers.Rescaling | layers.Normalization) for layer in deployable.network.layers)
    traced = np.asarray(deployable.trace(deployable.network_scaling(PIXELS)))
    assert np.abs(traced - deployable.probabilities(PIXELS)).max() <= 1e-6


def test_a_mean_for_each_place_is_no_scaling():
    image = keras.Input((16, 16, 3))
    normalization = layers.Normalization(axis=(1, 2, 3), mean=RANDOM.random((16, 16, 3)), variance=np.ones((16, 16, 3)))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(normalization(image))))
    assert front(model).scaling == PixelScaling((1.0, 1.0, 1.0))


def test_a_scaling_layer_that_two_layers_read_is_left_alone():
    image = keras.Input((16, 16, 3))
    scaled = layers.Rescaling(1 / 255)(image)
    both = layers.Concatenate()([scaled, image])
    deployable = Deployable(keras.Model(image, layers.Dense(3)(layers.Flatten()(both))), NAMES, PixelScaling.of((1,)))
    assert deployable.network_scaling == deployable.scaling


CAFFE = PixelScaling.of(scale=(1,), mean=(123.7, 116.8, 103.9))


@pytest.mark.parametrize(
    ("stem", "channels"),
    [
        ((layers.Conv2D(4, 3, padding="same", activation="relu"),), 4),
        ((layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),), 4),
        ((layers.Conv2D(4, 3),), 3),
        ((layers.ZeroPadding2D(((0, 1), (2, 1))), layers.Conv2D(4, 3)), 4),
    ],
    ids=["padded", "strided", "unpadded", "padding layer"],
)
def test_scaling_folds_exactly_into_the_first_convolution(stem, channels):
    deployable = Deployable(with_head(layers.Dense(3), stem=stem), NAMES, CAFFE)
    assert deployable.network_scaling == UNIT_SCALING
    assert deployable.network.count_params() >= deployable.model.count_params()
    assert deployable.network.weights[0].shape[2] == channels
    logits = keras_outputs(deployable.model, deployable.scaling(PIXELS))
    folded = keras_outputs(deployable.network, deployable.network_scaling(PIXELS))
    assert np.abs(folded - logits).max() <= 1e-5 * np.abs(logits).max()


@pytest.mark.parametrize(
    "stem",
    [layers.DepthwiseConv2D(3), layers.MaxPooling2D(2), layers.Conv2D(6, 3, groups=3)],
    ids=lambda layer: layer.name,
)
def test_scaling_that_no_kernel_can_hold_stays_in_front(stem):
    deployable = Deployable(with_head(layers.Dense(3), stem=(stem,)), NAMES, CAFFE)
    assert deployable.network_scaling == CAFFE


def test_pixels_with_a_whole_zero_point_need_no_folding():
    scaling = PixelScaling.of(scale=(1 / 128,), offset=(-1,))
    deployable = Deployable(with_head(layers.Dense(3)), NAMES, scaling)
    assert deployable.network_scaling == scaling
    assert scaling.zero_point == 128


SIGNED = PixelScaling.of(scale=(1 / 127.5,), offset=(-1,))


@pytest.mark.parametrize(
    "stem",
    [
        (layers.Conv2D(4, 3),),
        (layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False),),
        (layers.ZeroPadding2D(1), layers.Conv2D(4, 3)),
    ],
    ids=["unpadded", "padded", "padding layer"],
)
def test_for_int8_the_nearest_pixel_value_means_zero(stem):
    deployable = Deployable(with_head(layers.Dense(3), stem=stem), NAMES, SIGNED)
    rounded = deployable.for_int8
    assert rounded.network_scaling.zero_point == 128
    assert rounded.network.count_params() <= deployable.model.count_params() + 4  # no channel, at most a bias
    padded = len(stem) > 1 or stem[0].padding == "same"
    exact, got = (keras_outputs(each.network, each.network_scaling(PIXELS)) for each in (deployable, rounded))
    assert np.abs(got - exact).max() <= (0.02 if padded else 1e-5) * np.abs(exact).max()
    assert (rounded.probabilities(PIXELS) == deployable.probabilities(PIXELS)).all()


@pytest.mark.parametrize("scaling", [UNIT_SCALING, PixelScaling.of(scale=(1 / 128,), offset=(-1,)), CAFFE])
def test_other_scalings_are_the_same_for_int8(scaling):
    deployable = Deployable(with_head(layers.Dense(3)), NAMES, scaling)
    assert deployable.for_int8 is deployable


@pytest.mark.parametrize(("names", "temperature"), [(("a", "b"), 1.0), (NAMES, 0.0), (NAMES, float("inf"))])
def test_impossible_descriptions_are_refused(names, temperature):
    with pytest.raises(ExportError):
        Deployable(with_head(layers.Dense(3)), names, temperature=temperature)


def test_no_images_give_no_answers():
    assert Deployable(with_head(layers.Dense(3)), NAMES).probabilities(PIXELS[:0]).shape == (0, 3)
