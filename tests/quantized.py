"""A small classifier, and helpers to quantize and evaluate it."""

import keras
import numpy as np
from keras import layers

from pipeline.data.dataset import Dataset
from pipeline.export import onnx, tflite
from pipeline.export.formats import load_bytes
from pipeline.export.quantize.acceptance import AcceptanceCriteria
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.search import (
    Engines,
    Search,
    Validation,
)
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from runtime.spec import ModelSpec

SIDE, NAMES = 16, ("a", "b", "c", "d")

DEFAULT_CRITERIA = AcceptanceCriteria()


def pixels(count, seed=0):
    """Coarse patches of color, so that the network's answers differ."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return coarse.repeat(4, axis=1).repeat(4, axis=2)


def network(spread=0):
    """A small classifier; channels of its first convolution lie 2^-spread to 2^spread apart, undone by the second."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=1.0)),
        ]
    )
    factors = 2.0 ** np.linspace(-spread, spread, 8)
    first, second = model.layers[0], model.layers[2]
    first.set_weights([first.get_weights()[0] * factors, first.get_weights()[1] * factors])
    second.set_weights([second.get_weights()[0] / factors[:, None], second.get_weights()[1]])
    return model


def validation_of(deployable, criteria=DEFAULT_CRITERIA):
    """Images on which the network is confident, labeled with its own predictions."""
    images = pixels(1_500, seed=1)
    expected = deployable.probabilities(images)
    sure = np.sort(expected, axis=1)[:, -1] > 0.8
    assert sure.sum() > 300
    dataset = Dataset(images[sure], expected[sure].argmax(axis=1), NAMES)
    return Validation(dataset, expected[sure], criteria)


def quantizer_of(kind, deployable, counts=(100,), calibration=None):
    calibration = pixels(100) if calibration is None else calibration
    if kind == "onnx":
        prepared = deployable.for_int8
        quantizer = OnnxQuantizer(onnx.convert(prepared), prepared.network_scaling, calibration, counts)
        return quantizer, onnx.with_metadata
    return TfliteQuantizer(deployable, calibration, counts), tflite.with_metadata


def search_of(kind, deployable, criteria=DEFAULT_CRITERIA, float_bytes=1_000_000):
    quantizer, pack = quantizer_of(kind, deployable)
    spec = ModelSpec(SIDE, NAMES, "int8")
    engines = Engines(lambda graph: pack(graph, spec, None), load_bytes, lambda: float_bytes)
    return Search(quantizer, validation_of(deployable, criteria), engines)


def rounded_down():
    """A classifier most of whose weights are 0.45 int8 steps: each rounds to 0, but their sum matters."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, 2, padding="same", activation="relu", bias_initializer="ones"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(stddev=1.0)),
        ]
    )
    for layer in model.layers[:2]:
        kernel, bias = layer.get_weights()
        kernel[...] = 0.45 / 127 * np.sign(kernel.mean(axis=(0, 1, 2)) if kernel.shape[-1] == 8 else 1)
        kernel[1, 1] = np.eye(*kernel.shape[2:]) if kernel.shape[-1] == 8 else 1.0
        layer.set_weights([kernel, bias])
    return model
