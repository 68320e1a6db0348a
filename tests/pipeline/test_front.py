"""Scaling before a model's first layer with weights: it is detected, removed, and determines the input range."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import applications, layers, ops

from keras_outputs import keras_outputs
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.front import front
from pipeline.export.load.scaling import AS_THEY_ARE, PRESETS, UNIT_SCALING, PixelScaling

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 20, 16, 3), np.uint8)
SHAPE = PIXELS.shape[1:]
NAMES = ("a", "b", "c")


def classifier(before, *, nested=False, padding="same"):
    """Given first layers and a small network, which may be nested."""
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE)
    value = before(image)
    inside = keras.Input(value.shape[1:]) if nested else value
    body = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding=padding, activation="relu")(inside))
    value = keras.Model(inside, body, name="backbone")(value) if nested else body
    return keras.Model(image, layers.Dense(3)(value))


def chain(*steps):
    def apply(value):
        for step in steps:
            value = step(value)
        return value

    return apply


def backbone(value):
    """A nested model that scales and augments, as those of keras.applications and tutorials do."""
    inner = keras.Sequential(
        [keras.Input(SHAPE), layers.RandomFlip("horizontal"), layers.Rescaling(1 / 127.5, -1)], name="preparation"
    )
    return inner(value)


HALVES = PixelScaling((1 / 127.5,) * 3, (-1.0,) * 3)
UNIT = layers.Rescaling(1 / 255)
AUGMENTATION = layers.RandomFlip(), layers.RandomZoom(0.1), layers.RandomRotation(0.1)
FOUND = {
    "rescaling": (UNIT, UNIT_SCALING),
    "augmentation first": (chain(*AUGMENTATION, UNIT), UNIT_SCALING),
    "augmentation behind": (chain(UNIT, layers.RandomContrast(0.2), layers.RandomBrightness(0.2)), UNIT_SCALING),
    "AugMix": (chain(layers.AugMix((0, 255)), layers.GaussianNoise(0.1), UNIT), UNIT_SCALING),
    "nested": (backbone, HALVES),
    "division": (lambda x: x / 255.0, UNIT_SCALING),
    "arithmetic": (lambda x: (x - 127.5) * (1 / 127.5), HALVES),
    "operations": (lambda x: ops.subtract(ops.divide(ops.cast(x, "float32"), 127.5), 1.0), HALVES),
    "mode tf": (applications.mobilenet_v2.preprocess_input, PRESETS["tf"]),
    "mode torch": (applications.densenet.preprocess_input, PRESETS["torch"]),
    "mode caffe": (applications.resnet50.preprocess_input, PRESETS["caffe"]),
    "reversed by an index": (lambda x: x[..., ::-1] / 255.0, PixelScaling(bgr=True)),
    "reversed by flip": (lambda x: ops.flip(UNIT(x), axis=-1), PixelScaling(bgr=True)),
    "split and stacked": (lambda x: ops.stack([x[..., i] / 255 for i in (2, 1, 0)], -1), PixelScaling(bgr=True)),
    "reversed twice": (lambda x: (x[..., ::-1] / 255.0)[..., ::-1], UNIT_SCALING),
    "cropped": (chain(layers.Cropping2D(2), UNIT), UNIT_SCALING),
    "cropped by an index": (lambda x: x[:, 2:-2, 2:-2] / 127.5 - 1.0, HALVES),
    "center crop": (chain(layers.CenterCrop(12, 12), layers.Rescaling(1 / 127.5, -1)), HALVES),
    "resized": (chain(layers.Resizing(12, 12), layers.Rescaling(1 / 127.5, -1)), HALVES),
    "resized, cropped": (chain(layers.Resizing(10, 12, "bicubic", crop_to_aspect_ratio=True), UNIT), UNIT_SCALING),
    "letterboxed": (chain(layers.Resizing(14, 14, pad_to_aspect_ratio=True), UNIT), UNIT_SCALING),
    "padded with zeros": (chain(layers.ZeroPadding2D(2), UNIT), UNIT_SCALING),
    "transposed": (chain(layers.Permute((2, 1, 3)), layers.Rescaling(1 / 127.5, -1)), HALVES),
    "twice": (chain(UNIT, layers.Normalization(mean=[0.5] * 3, variance=[0.25] * 3)), HALVES),
}  # fmt: skip


def check_equal(model, scaling):
    """Check that the network without its scaling layers gives the same outputs."""
    deployable = Deployable(model, NAMES, scaling)
    expected = keras_outputs(model, scaling(PIXELS))
    got = keras_outputs(deployable.network, deployable.network_scaling(PIXELS))
    assert np.abs(got - expected).max() <= 2e-5 * np.abs(expected).max()
    assert not deployable.network_scaling.bgr
    return deployable


@pytest.mark.parametrize(("before", "scaling"), FOUND.values(), ids=FOUND)
def test_a_front_is_measured_and_taken_off(before, scaling):
    model = classifier(before, nested=scaling.bgr)
    found = front(model)
    assert found.scaling.bgr == scaling.bgr
    assert np.allclose([found.scaling.scale, found.scaling.offset], [scaling.scale, scaling.offset], 1e-5, 1e-6)
    assert found.expected == AS_THEY_ARE
    check_equal(model, AS_THEY_ARE)


@pytest.mark.parametrize(("before", "scaling"), [FOUND["mode caffe"], FOUND["nested"], FOUND["cropped"]])
def test_a_front_inside_a_nested_model_is_found_and_folded(before, scaling):
    image = keras.Input(SHAPE)
    inner = classifier(before, nested=True)
    features = keras.Model(inner.inputs, inner.layers[-1].input, name="features")
    model = keras.Model(image, layers.Dense(3)(layers.Dropout(0.2)(features(image))))
    assert front(model).scaling.bgr == scaling.bgr
    assert np.allclose(front(model).scaling.scale, scaling.scale, 1e-5)
    deployable = check_equal(model, AS_THEY_ARE)
    assert np.allclose(deployable.network_scaling.scale, 1 / 255, 1e-6)
    assert deployable.network_scaling.zero_point == 0


LEFT = {
    "gray": lambda x: ops.image.rgb_to_grayscale(x / 255.0),
    "padded, then shifted": chain(layers.ZeroPadding2D(1), layers.Rescaling(1 / 127.5, -1)),
    "squared": lambda x: (x / 255.0) ** 2,
    "each image by its own maximum": lambda x: x / ops.max(x, axis=(1, 2, 3), keepdims=True),
    "two ranges": lambda x: layers.Concatenate()([x / 255.0, x]),
}  # fmt: skip


@pytest.mark.parametrize("before", LEFT.values(), ids=LEFT)
def test_what_is_no_scaling_of_pixels_stays_and_still_says_the_range(before):
    model = classifier(before)
    assert front(model).scales
    assert front(model).expected == AS_THEY_ARE
    check_equal(model, AS_THEY_ARE)


def test_branches_that_scale_by_themselves_get_pixels_as_they_are():
    image = keras.Input(SHAPE)
    parts = [layers.Conv2D(2, 3)(layers.Rescaling(scale)(image)) for scale in (1 / 255, 1 / 127.5)]
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Add()(parts))))
    assert front(model).scaling == AS_THEY_ARE
    assert front(model).expected == AS_THEY_ARE


EXPECTED = {
    "nothing": (lambda x: x, UNIT_SCALING),
    "augmentation alone": (chain(layers.RandomFlip(), layers.RandomZoom(0.1)), UNIT_SCALING),
    "padding and pooling": (chain(layers.ZeroPadding2D(1), layers.MaxPooling2D(2)), UNIT_SCALING),
    "ImageNet's mean and deviation of 0-1": (
        layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.0524, 0.0502, 0.0506]), UNIT_SCALING
    ),
    "0-1 to -1-1": (layers.Rescaling(2.0, -1.0), UNIT_SCALING),
    "mean and deviation of 0-255": (layers.Normalization(mean=[120.0] * 3, variance=[4000.0] * 3), AS_THEY_ARE),
    "batch normalization": (layers.BatchNormalization(), AS_THEY_ARE),
}  # fmt: skip


@pytest.mark.parametrize(("before", "scaling"), EXPECTED.values(), ids=EXPECTED)
def test_the_range_that_a_model_was_given(before, scaling):
    assert front(classifier(before)).expected == scaling


@pytest.mark.parametrize("scaling", [PRESETS["caffe"], PixelScaling(bgr=True), PixelScaling.of((1,), bgr=True)])
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
def test_channel_order_folds_into_the_first_convolution(scaling, nested):
    deployable = check_equal(classifier(lambda x: x, nested=nested), scaling)
    assert "bgr" not in [layer.name for layer in deployable.network.layers]


def test_channel_order_before_other_layers_is_a_convolution():
    image = keras.Input(SHAPE)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.DepthwiseConv2D(3)(image))))
    assert "bgr" in [layer.name for layer in check_equal(model, PRESETS["caffe"]).network.layers]


def test_channel_order_stays_before_what_moves_channels():
    before = chain(lambda image: ops.roll(image, 1, axis=-1), layers.Rescaling(1 / 127.5, -1))
    check_equal(classifier(before), replace(PRESETS["tf"], bgr=True))


def test_numbers_are_given_in_the_order_of_the_models_channels():
    scaling = PixelScaling.of((1,), mean=(1, 2, 3), bgr=True)
    assert scaling(np.uint8([[[[30, 20, 10]]]])).tolist() == [[[[9, 18, 27]]]]
    both = scaling.then(PixelScaling.of((2,), (100, 200, 300)))
    assert both(np.uint8([[[[30, 20, 10]]]])).tolist() == [[[[118, 236, 354]]]]
    assert not scaling.then(PixelScaling(bgr=True)).bgr
