"""Every supported operator, in all four files compared with Keras.

The weights are random, so that probabilities say little: files are compared by the cosine of their centered logits.
"""

import keras
import numpy as np
import pytest
from keras import layers

from four_files import centered_logits, check_graph, cosine, files
from pipeline.export.formats import load_bytes
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling

IMAGES = 12
CLASSES = tuple("abcdefghij")
FP32_DIFFERENCE = 1e-5
INT8_COSINE = 0.98


@pytest.fixture(autouse=True)
def seeded():
    """Layers draw the seeds of their weights when they are made, so none is made before this."""
    keras.utils.set_random_seed(2)


def pixels(side):
    """Smooth colored images: noise would average out to the same answer for all."""
    random = np.random.default_rng(5)
    coarse = random.uniform(0, 255, (IMAGES, 4, 4, 3)).astype(np.float32)
    resized = keras.ops.image.resize(coarse, (side, side), interpolation="bicubic")
    return np.clip(np.asarray(resized), 0, 255).astype(np.uint8)


def settle(model, images):
    """Set each batch normalization to the mean and variance of its input, so that signals do not vanish."""
    keras.utils.set_random_seed(0)
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    if norms:
        for norm in norms:
            norm.momentum = 0.0
        model(images, training=True)
    return model


def check(model, scaling=UNIT_SCALING, cosine_at_least=INT8_COSINE):
    side = model.input_shape[1]
    images = pixels(side)
    deployable = Deployable(settle(model, scaling(images)), CLASSES[: model.output_shape[-1]], scaling)
    expected = deployable.probabilities(images)
    assert np.ptp(centered_logits(expected), axis=0).max() > 0.05, "the model answers all images alike"
    compare(deployable, images, cosine_at_least)


def compare(deployable, images, cosine_at_least):
    expected = deployable.probabilities(images)
    for name, content in files(deployable, images).items():
        if name.endswith(".onnx"):
            check_graph(content)
        got = load_bytes(content)(images)
        if "fp32" in name:
            assert np.abs(got - expected).max() <= FP32_DIFFERENCE, name
        assert cosine(got, expected) >= cosine_at_least, name


def classifier(*body, side=16, head=None):
    keras.utils.set_random_seed(2)
    loud = keras.initializers.RandomNormal(stddev=3.0)  # so that answers differ from image to image
    head = head or (layers.GlobalAveragePooling2D(), layers.Dense(4, kernel_initializer=loud))
    return keras.Sequential([keras.Input((side, side, 3)), layers.Conv2D(8, 3, padding="same"), *body, *head])


def branched(merge):
    keras.utils.set_random_seed(2)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(image)
    merged = merge([layers.Conv2D(8, 3, padding="same")(x), layers.Conv2D(8, 1, activation="sigmoid")(x)])
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(merged)))


ACTIVATIONS = ["relu", "relu6", "leaky_relu", "sigmoid", "swish", "hard_swish", "hard_sigmoid", "tanh", "elu"]


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation):
    check(classifier(layers.Activation(activation), layers.Conv2D(6, 3)))


BODIES = {
    "convolution": lambda: [layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")],
    "dilated": lambda: [layers.Conv2D(6, 3, dilation_rate=2, activation="relu")],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, padding="same"), layers.ReLU(6.0)],
    "separable": lambda: [layers.SeparableConv2D(6, 3, activation="relu")],
    "normalization": lambda: [
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(6, 1),
        layers.BatchNormalization(),
    ],
    "max pooling": lambda: [layers.ReLU(), layers.MaxPooling2D(3, 2, padding="same")],
    "average pooling": lambda: [layers.AveragePooling2D(2)],
    "padding": lambda: [layers.ZeroPadding2D(((1, 2), (0, 3))), layers.ReLU(), layers.DepthwiseConv2D(3)],
    "leaky": lambda: [layers.LeakyReLU(negative_slope=0.2), layers.Conv2D(6, 3)],
    "reshape": lambda: [layers.Reshape((8, 32, 8)), layers.Conv2D(6, 3)],
}


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_layers(body):
    check(classifier(*body()))


HEADS = {
    "flatten": lambda: [layers.Flatten(), layers.Dropout(0.3), layers.Dense(16, "relu"), layers.Dense(4, "softmax")],
    "global max": lambda: [layers.GlobalMaxPooling2D(), layers.Dense(4), layers.Softmax()],
    "convolution": lambda: [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()],
    "kept dimensions": lambda: [layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(4, 1), layers.Flatten()],
}


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_heads(head):
    check(classifier(head=head()))


@pytest.mark.slow
@pytest.mark.parametrize("merge", [layers.Add(), layers.Multiply(), layers.Concatenate()], ids=["add", "mul", "concat"])
def test_branches(merge):
    check(branched(merge))


@pytest.mark.slow
def test_nested_models_and_scaling_layers():
    inner = keras.Sequential(
        [keras.Input((16, 16, 3)), layers.Rescaling(1 / 127.5, -1), layers.Conv2D(8, 3, 2, "same")]
    )
    image = keras.Input((16, 16, 3))
    normal = layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3_000.0, 3_500.0, 4_000.0])
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(normal(image))
    y = layers.ReLU()(inner(image))
    pooled = [layers.GlobalAveragePooling2D()(part) for part in (x, y)]
    check(keras.Model(image, layers.Dense(4)(layers.Concatenate()(pooled))), PixelScaling.of(scale=(1,)))
