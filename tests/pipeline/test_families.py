"""Whole families of networks with random weights, in all four files and NCNN's against Keras.

Weights as built would make every image's answer the same and then amplify each rounding a thousandfold. So kernels lean
a little to the positive side, as smoothing ones do, batch normalisation is fitted to photos, and the head is scaled
until the answers have the spread of a trained network's (EfficientNet's ten times less, or its fp32 rounding alone
would pass 1e-5 of a probability). Random networks amplify int8 rounding more than trained ones: the bounds are a little
below what was measured, to see it when a change makes things worse. They say nothing of int8's worth.
"""

from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

from four_files import centred_logits, check_graph, cosine_by_image, files
from pipeline import artifacts
from pipeline.data import samples
from pipeline.export import ncnn
from pipeline.export import onnx as export_onnx
from pipeline.export.deployable import Deployable
from pipeline.export.products import load_bytes
from pipeline.export.scaling import PixelScaling
from runtime.spec import ModelSpec

SIDE = 64
PHOTOS, IMAGES = 160, 32
LEAN_OVER_SPACE = 0.5
"""What is added to kernels wider than a pixel, in standard deviations of the kernel."""

FP32_DIFFERENCE, FP32_COSINE = 1e-5, 0.9999
FAMILIES = {  # how it is built, scaling, least int8 cosine, spread of logits, lean of one-pixel kernels
    "MobileNetV2": (
        lambda: keras.applications.MobileNetV2(
            (SIDE, SIDE, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None
        ),
        PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)),
        0.95,
        1.0,
        0.1,
    ),
    "MobileNetV3Small": (
        lambda: keras.applications.MobileNetV3Small(
            (SIDE, SIDE, 3), weights=None, classes=10, classifier_activation=None
        ),
        PixelScaling.of(scale=(1,)),
        0.93,
        1.0,
        0.1,
    ),
    "EfficientNetB0": (
        lambda: keras.applications.EfficientNetB0(
            input_shape=(SIDE, SIDE, 3), weights=None, classes=10, classifier_activation=None
        ),
        PixelScaling.of(scale=(1,)),
        0.90,
        0.1,
        0.1,
    ),
    "ResNet50": (
        lambda: keras.applications.ResNet50(
            input_shape=(SIDE, SIDE, 3), weights=None, classes=10, classifier_activation=None
        ),
        PixelScaling.of(scale=(1,), mean=(103.939, 116.779, 123.68)),
        0.75,
        1.0,
        0.05,
    ),
}
FILES = (artifacts.FP32_ONNX, artifacts.INT8_ONNX, artifacts.FP32_TFLITE, artifacts.INT8_TFLITE, artifacts.FP32_NCNN)


@cache
def photos():
    """Real photos, enlarged: uint8 (N, SIDE, SIDE, 3)."""
    small = samples.read_calibration(artifacts.REFERENCE_DIR).pixels[:PHOTOS]
    factor = SIDE // small.shape[1]
    return small.repeat(factor, axis=1).repeat(factor, axis=2)


def settle(model, images, spread, channel_lean):
    """Draw and fit the parameters; ``images`` are scaled, ``spread`` is the standard deviation of an image's logits.

    A network with outliers among its answers has a small one, lest float32's rounding show in their probabilities.
    """
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0  # one pass sets the moving statistics
            layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
            layer.beta.assign(random.uniform(-0.1, 0.1, layer.beta.shape))
        elif isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and layer.input.shape[1] != 1:
            kernel, *bias = layer.get_weights()
            lean = channel_lean if layer.kernel_size == (1, 1) else LEAN_OVER_SPACE
            layer.set_weights([kernel + lean * kernel.std(), *bias])
    model(images, training=True)
    head = [layer for layer in model.layers if layer.weights][-1]
    logits = model.predict(images, verbose=0)
    kernel, *bias = head.get_weights()
    head.set_weights([kernel * spread / logits.std(axis=1).mean(), *bias])


@cache
def family(name):
    """The network, Keras's answers and each file's."""
    build, scaling, _, spread, channel_lean = FAMILIES[name]
    keras.utils.set_random_seed(1)
    model = build()
    settle(model, scaling(photos()), spread, channel_lean)
    deployable = Deployable(model, tuple("abcdefghij"), scaling)
    images = photos()[-IMAGES:]
    made = files(deployable, images)  # ranges of the very images: what is left is rounding
    graph = ncnn.convert(export_onnx.convert(deployable), SIDE, deployable.network_scaling)
    made[artifacts.FP32_NCNN] = ncnn.with_metadata(graph, ModelSpec(SIDE, deployable.class_names))
    return deployable.probabilities(images), {file: load_bytes(made[file])(images) for file in FILES}, made


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", FAMILIES)
def test_file_answers_as_keras_does(name, file):
    expected, answers, made = family(name)
    got = answers[file]
    assert centred_logits(expected).std(axis=0).mean() > 0.05, "the network answers all images alike"
    if file.endswith(".onnx"):
        check_graph(made[file])
    if "fp32" in file:
        assert np.abs(got - expected).max() <= FP32_DIFFERENCE
        assert cosine_by_image(got, expected) >= FP32_COSINE
    else:
        assert cosine_by_image(got, expected) >= FAMILIES[name][2]
