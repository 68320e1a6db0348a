"""Every operator that export promises, in all four files against Keras; whole families of networks in fp32 ONNX.

The weights are random, so that probabilities say little: files are compared by the cosine of their centred logits.
"""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from pipeline import artifacts
from pipeline.export import onnx as export_onnx
from pipeline.export import tflite
from pipeline.export.deployable import Deployable
from pipeline.export.onnx_int8 import OnnxQuantizer
from pipeline.export.products import load_bytes
from pipeline.export.recipe import Recipe
from pipeline.export.scaling import UNIT_SCALING, PixelScaling
from pipeline.export.tflite_int8 import TfliteQuantizer
from runtime.spec import ModelSpec

IMAGES = 12
CLASSES = tuple("abcdefghij")
FP32_DIFFERENCE = 1e-5
INT8_COSINE = 0.98
ORDINARY_DOMAINS = {"", "ai.onnx", "com.microsoft"}
"""What an ordinary onnxruntime wheel runs, on aarch64 as on x86-64."""


def pixels(side):
    """Smooth coloured images: noise would average out to the same answer for all."""
    random = np.random.default_rng(5)
    coarse = random.uniform(0, 255, (IMAGES, 4, 4, 3)).astype(np.float32)
    resized = keras.ops.image.resize(coarse, (side, side), interpolation="bicubic")
    return np.clip(np.asarray(resized), 0, 255).astype(np.uint8)


def settle(model, images):
    """Give every batch normalisation the mean and variance of what it sees, so that signals stay alive to the end."""
    keras.utils.set_random_seed(0)
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    if norms:
        for norm in norms:
            norm.momentum = 0.0
        model(images, training=True)
    return model


def files(deployable, images):
    """The four files' bytes by name."""
    spec = ModelSpec(deployable.side, deployable.class_names)
    network, scaling = export_onnx.convert(deployable), deployable.network_scaling
    recipe = Recipe(images=len(images))
    quantized = OnnxQuantizer(network, scaling, images, (len(images),)).build(recipe)
    flatbuffer = TfliteQuantizer(deployable, images, (len(images),)).build(recipe)
    return {
        artifacts.FP32_ONNX: export_onnx.with_metadata(export_onnx.fp32(network, scaling), spec),
        artifacts.INT8_ONNX: export_onnx.with_metadata(quantized, spec),
        artifacts.FP32_TFLITE: tflite.with_metadata(tflite.convert(deployable), spec),
        artifacts.INT8_TFLITE: tflite.with_metadata(flatbuffer, spec),
    }


def centred_logits(probabilities):
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-4))
    return logits - logits.mean(axis=1, keepdims=True)


def cosine(first, second):
    first, second = centred_logits(first).ravel(), centred_logits(second).ravel()
    return first @ second / np.sqrt((first @ first) * (second @ second))


def check_graph(content):
    """Clean: opset and domains of ordinary wheels, shapes known throughout, nothing outside the file."""
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    known = {value.name for value in (*inferred.graph.value_info, *inferred.graph.output)}
    assert {name for node in model.graph.node for name in node.output} <= known
    assert not model.functions
    assert {entry.domain for entry in model.opset_import} <= ORDINARY_DOMAINS
    assert max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")) <= 18
    assert not any(constant.external_data for constant in model.graph.initializer)
    kinds = [node.op_type for node in model.graph.node]
    assert not {"Shape", "Gather", "Slice", "Cast", "BatchNormalization", "Identity", "Squeeze"} & set(kinds)
    assert kinds.count("Transpose") <= 4
    return kinds


def check(model, scaling=UNIT_SCALING, cosine_at_least=INT8_COSINE):
    side = model.input_shape[1]
    images = pixels(side)
    deployable = Deployable(settle(model, scaling(images)), CLASSES[: model.output_shape[-1]], scaling)
    expected = deployable.probabilities(images)
    assert np.ptp(centred_logits(expected), axis=0).max() > 0.05, "the model answers all images alike"
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
    "convolution": [layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")],
    "dilated": [layers.Conv2D(6, 3, dilation_rate=2, activation="relu")],
    "depthwise": [layers.DepthwiseConv2D(3, padding="same"), layers.ReLU(6.0)],
    "separable": [layers.SeparableConv2D(6, 3, activation="relu")],
    "normalisation": [layers.BatchNormalization(), layers.ReLU(), layers.Conv2D(6, 1), layers.BatchNormalization()],
    "max pooling": [layers.ReLU(), layers.MaxPooling2D(3, 2, padding="same")],
    "average pooling": [layers.AveragePooling2D(2)],
    "padding": [layers.ZeroPadding2D(((1, 2), (0, 3))), layers.ReLU(), layers.DepthwiseConv2D(3)],
    "leaky": [layers.LeakyReLU(negative_slope=0.2), layers.Conv2D(6, 3)],
    "reshape": [layers.Reshape((8, 32, 8)), layers.Conv2D(6, 3)],
}


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_layers(body):
    check(classifier(*body))


HEADS = {
    "flatten": [layers.Flatten(), layers.Dropout(0.3), layers.Dense(16, "relu"), layers.Dense(4, "softmax")],
    "global max": [layers.GlobalMaxPooling2D(), layers.Dense(4), layers.Softmax()],
    "convolution": [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()],
    "kept dimensions": [layers.GlobalAveragePooling2D(keepdims=True), layers.Conv2D(4, 1), layers.Flatten()],
}


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_heads(head):
    check(classifier(head=head))


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


APPLICATIONS = {
    "MobileNetV2": (
        lambda: keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=10),
        PixelScaling.of(scale=(1 / 127.5,), offset=(-1,)),
    ),
    "MobileNetV3Small": (
        lambda: keras.applications.MobileNetV3Small((32, 32, 3), alpha=0.75, weights=None, classes=10),
        PixelScaling.of(scale=(1,)),
    ),
    "EfficientNetB0": (
        lambda: keras.applications.EfficientNetB0(input_shape=(32, 32, 3), weights=None, classes=10),
        PixelScaling.of(scale=(1,)),
    ),
    "ResNet50": (
        lambda: keras.applications.ResNet50(input_shape=(32, 32, 3), weights=None, classes=10),
        PixelScaling.of(scale=(1,), mean=(103.939, 116.779, 123.68)),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", APPLICATIONS)
def test_families(name):
    build, scaling = APPLICATIONS[name]
    keras.utils.set_random_seed(1)
    model = build()
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            bounds = ((0.5, 1.5), (-0.1, 0.1), (-0.1, 0.1), (0.5, 1.5))  # gamma, beta, mean, variance
            shape = layer.gamma.shape
            layer.set_weights([random.uniform(*bound, shape) for bound in bounds])
    images, deployable = pixels(32), Deployable(model, CLASSES, scaling)
    content = export_onnx.fp32(export_onnx.convert(deployable), deployable.network_scaling).SerializeToString()
    check_graph(content)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"pixels": images})
    assert np.abs(got - deployable.probabilities(images)).max() <= FP32_DIFFERENCE
