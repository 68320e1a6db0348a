"""Families of networks with random weights, in all four files and NCNN compared with Keras.

Weights as built make no network to judge rounding by: fifty random layers amplify it from one to the next, and where
kernels lean to one side against that, one image drifts a hundred times further than the others, so that the int8 step
which it needs is larger than all that the others say (ours and the stock converters' files of ResNet50 were then at
a cosine of 0.78). So batch normalization is fitted to photos, the branch beside each shortcut is a third of what it
joins, as in networks that begin training with it at nothing (Goyal et al., 2017), and the head is scaled until the
answers have the spread of a trained network's.

What int8 loses is rounding: a value whose range is 16 standard deviations wide keeps 35 dB (255 steps, and an error of
a step over the root of 12), and fifty to a hundred roundings in a row, each as large as the next, 15 to 18. Files are
held against 10, where the error has a tenth of the answer's energy, and against the stock converters' files of the same
weights and calibration, within half a bit. They say nothing of int8's worth.

EfficientNetV2B0 has half the spread: with all of it, float32's own rounding comes near 1e-5 of a probability.
"""

from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from keras.src.applications import efficientnet_v2, resnet  # the public modules have whole networks alone

from docs.figures.graph.bare_engines import onnx_run, tflite_run
from docs.figures.graph.stock import stock_onnx, stock_tflite
from four_files import centered_logits, check_graph, cosine_by_image, files
from pipeline import artifacts
from pipeline.data import samples
from pipeline.export import ncnn
from pipeline.export import onnx as export_onnx
from pipeline.export.formats import load_bytes
from pipeline.export.freeze import as_function, frozen_graph
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import PixelScaling
from pipeline.metrics.calibration import softmax
from runtime.spec import ModelSpec

SIDE = 64
PHOTOS, IMAGES = 160, 32
BRANCH = 0.3
"""What a branch beside a shortcut is scaled by."""

FP32_DIFFERENCE, FP32_COSINE = 1e-5, 0.9999
INT8_COSINE = 1 / np.sqrt(1.1)
"""Of an answer with an error that has a tenth of its energy and nothing to do with it."""
HALF_A_BIT = 2.0
"""What the energy of our file's error may be of the stock file's; both are sums of roundings, and a bit is four."""
NEWEST, NEWEST_SPREAD = "EfficientNetV2B0", 0.5
"""The standard deviation of the logits of an image is 1 in the others. It has no stock files, which would take as long
as all else."""

DEPTH = 0.6
"""Of EfficientNetV2B0's repeated blocks: 15 of 21 stay, of each kind one with a shortcut."""

STAGES = ((16, 3, 1), (32, 4, 2), (64, 6, 2), (128, 3, 2))
"""Of ResNet50: channels, a quarter of its own, then blocks and the stride of the first."""


def narrow_resnet50():
    """ResNet50 of a quarter of the channels: as many layers, and a sixteenth of the weights to convert."""

    def stages(value):
        for number, (channels, blocks, stride) in enumerate(STAGES, start=2):
            value = resnet.stack_residual_blocks_v1(value, channels, blocks, stride1=stride, name=f"conv{number}")
        return value

    options = {"input_shape": (SIDE, SIDE, 3), "classes": 10, "classifier_activation": None, "weights": None}
    return resnet.ResNet(stages, preact=False, use_bias=True, weights_name="narrow", **options)


FAMILIES = {
    "MobileNetV2": (
        lambda: keras.applications.MobileNetV2(
            (SIDE, SIDE, 3), alpha=0.35, weights=None, classes=10, classifier_activation=None
        ),
        PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)),
    ),
    "MobileNetV3Small": (
        lambda: keras.applications.MobileNetV3Small(
            (SIDE, SIDE, 3), weights=None, classes=10, classifier_activation=None
        ),
        PixelScaling.of(scale=(1,)),
    ),
    NEWEST: (
        lambda: efficientnet_v2.EfficientNetV2(
            1.0,
            DEPTH,
            SIDE,
            name="efficientnetv2-b0",
            input_shape=(SIDE, SIDE, 3),
            weights=None,
            classes=10,
            classifier_activation=None,
            include_preprocessing=False,
        ),
        PixelScaling.of(scale=(1 / 128,), offset=(-1,)),
    ),
    "ResNet50": (
        narrow_resnet50,
        PixelScaling.of(scale=(1,), mean=(104, 117, 124)),
    ),
}
"""Only MobileNetV2's scaling has no integer pixel that means 0, so that int8 has a translation of its own."""

FILES = (artifacts.FP32_ONNX, artifacts.INT8_ONNX, artifacts.FP32_TFLITE, artifacts.INT8_TFLITE, "model_fp32.ncnn")


@cache
def photos():
    """Real photos, enlarged: uint8 (N, SIDE, SIDE, 3)."""
    small = samples.read_calibration(artifacts.REFERENCE_DIR).pixels[:PHOTOS]
    factor = SIDE // small.shape[1]
    return small.repeat(factor, axis=1).repeat(factor, axis=2)


def normalization_before(tensor):
    """The batch normalization that gives a value, dropout apart; ``None`` where something else does."""
    layer = tensor._keras_history.operation  # noqa: SLF001 - Keras offers no public way from a tensor to its layer
    if isinstance(layer, layers.Dropout):
        return normalization_before(layer.input)
    return layer if isinstance(layer, layers.BatchNormalization) else None


def settle(model, images, spread):
    """Draw and fit the parameters; ``images`` are scaled, ``spread`` is that of an image's logits."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0  # one pass sets the moving statistics
            layer.gamma.assign(random.uniform(0.8, 1.2, layer.gamma.shape))
            layer.beta.assign(random.uniform(-0.1, 0.1, layer.beta.shape))
    for layer in model.layers:
        if isinstance(layer, layers.Add):
            # The branch is what was built last: a shortcut is older, or is projected beforehand.
            branch = [found for tensor in layer.input if (found := normalization_before(tensor))]
            last = max(branch, key=model.layers.index)
            last.gamma.assign(last.gamma * BRANCH)
    model(images, training=True)
    head = [layer for layer in model.layers if layer.weights][-1]
    logits = np.asarray(model(images, training=False))  # ``predict`` would trace the network
    kernel, *bias = head.get_weights()
    head.set_weights([kernel * spread / logits.std(axis=1).mean(), *bias])


def stock_answers(deployable, images):
    """The outputs of the stock converters' int8 files, by the names of our files."""
    scaled = deployable.scaling(images)
    onnx_logits = onnx_run(stock_onnx(deployable, images), scaled)(None)[0]
    definition = frozen_graph(lambda image: deployable.model(image, training=False), SIDE, tf.float32, batch=1)
    frozen = as_function(definition, SIDE, tf.float32, tf.identity)
    content = stock_tflite(deployable, images, tf.lite.TFLiteConverter.from_concrete_functions([frozen]))
    tflite_logits = np.concatenate([tflite_run(content, image[np.newaxis])(None) for image in scaled])
    return {artifacts.INT8_ONNX: softmax(onnx_logits), artifacts.INT8_TFLITE: softmax(tflite_logits)}


@cache
def family(name):
    """The outputs of Keras, of our files and of the stock converters' files; and our files."""
    build, scaling = FAMILIES[name]
    keras.utils.set_random_seed(1)
    model = build()
    settle(model, scaling(photos()), NEWEST_SPREAD if name == NEWEST else 1.0)
    deployable = Deployable(model, tuple("abcdefghij"), scaling)
    images = photos()[-IMAGES:]
    network = export_onnx.convert(deployable)
    made = files(deployable, images, network)  # ranges of the very images: what is left is rounding
    graph = ncnn.convert(network, SIDE, deployable.network_scaling)
    made["model_fp32.ncnn"] = ncnn.with_metadata(graph, ModelSpec(SIDE, deployable.class_names))
    answers = {file: load_bytes(made[file])(images) for file in FILES}
    stock = {} if name == NEWEST else stock_answers(deployable, images)
    return deployable.probabilities(images), answers, stock, made


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", FAMILIES)
def test_file_answers_as_keras_does(name, file):
    expected, answers, stock, made = family(name)
    got = answers[file]
    logits = centered_logits(expected)
    assert logits.std(axis=0).mean() > 0.05, "the network answers all images alike"
    sizes = np.linalg.norm(logits, axis=1)
    assert sizes.max() < 10 * np.median(sizes), "one image sets the int8 step of all others"
    if file.endswith(".onnx"):
        check_graph(made[file])
    if "fp32" in file:
        assert np.abs(got - expected).max() <= FP32_DIFFERENCE
        assert cosine_by_image(got, expected) >= FP32_COSINE
    else:
        cosine = cosine_by_image(got, expected)
        assert cosine >= INT8_COSINE
        if stock:
            assert 1 - cosine <= HALF_A_BIT * (1 - cosine_by_image(stock[file], expected))
