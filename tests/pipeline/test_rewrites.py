"""Every rewrite of a graph is exact: the same numbers come out."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from pipeline.errors import ExportError
from pipeline.export import onnx as export_onnx
from pipeline.export import rewrites
from pipeline.export.deployable import Deployable
from pipeline.export.scaling import UNIT_SCALING

RANDOM = np.random.default_rng(0)


def run(graph, images):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


def network(convolution, side=16):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((side, side, 3)),
            convolution,
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(4, "softmax"),
        ]
    )
    for layer in model.layers:
        layer.set_weights([RANDOM.normal(size=weight.shape) for weight in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def model():
    return network(layers.Conv2D(5, 2, padding="same", activation="relu"))


def deployable(model):
    return Deployable(model, tuple("abcd"))


def operators(graph):
    return [node.op_type for node in graph.graph.node]


def test_converted_graph_has_no_shape_arithmetic_and_any_batch(model):
    graph = export_onnx.convert(deployable(model))
    images = RANDOM.random((7, 16, 16, 3), np.float32)
    assert np.abs(run(graph, images) - model.predict(images, verbose=0)).max() <= 1e-5
    assert not {"Shape", "Gather", "Slice", "Concat", "Cast"} & set(operators(graph))


@pytest.mark.parametrize(
    ("convolution", "fits"),
    [
        (layers.Conv2D(5, 2, padding="same", activation="relu"), True),
        (layers.Conv2D(5, 2, padding="same"), True),
        (layers.Conv2D(5, (3, 1), padding="same", activation="relu"), True),
        (layers.Conv2D(5, 3, padding="same", activation="relu"), False),
        (layers.Conv2D(5, 2, padding="valid"), False),
        (layers.Conv2D(5, 2, strides=2, padding="same"), False),
        (layers.Conv2D(5, 2, dilation_rate=2, padding="same"), False),
    ],
    ids=["relu", "linear", "tall", "padded left", "narrower out", "strided", "dilated"],
)
@pytest.mark.parametrize("group", [2, 4, 8])
def test_grouping_pixels_is_exact_where_it_fits(convolution, fits, group):
    graph = export_onnx.convert(deployable(network(convolution)))
    images = RANDOM.random((3, 16, 16, 3), np.float32)
    before = run(graph, images)
    assert rewrites.group_pixels(graph, group) == fits
    onnx.checker.check_model(graph, full_check=True)
    assert np.abs(run(graph, images) - before).max() <= 1e-5


def test_grouping_needs_a_side_that_divides(model):
    assert not rewrites.group_pixels(export_onnx.convert(deployable(model)), 3)


def test_scaling_pixels_is_what_keras_was_trained_on(model):
    graph = export_onnx.fp32(export_onnx.convert(deployable(model)), UNIT_SCALING)
    pixels = RANDOM.integers(0, 256, (3, 16, 16, 3), np.uint8)
    expected = model.predict(pixels.astype(np.float32) / 255, verbose=0)
    assert np.abs(run(graph, pixels) - expected).max() <= 1e-5


def test_pixels_are_the_quantised_input(model):
    quantized = export_onnx.quantize(
        export_onnx.convert(deployable(model)), UNIT_SCALING, RANDOM.integers(0, 200, (20, 16, 16, 3), np.uint8)
    )
    consumers = [node.op_type for node in quantized.graph.node if rewrites.PIXELS in node.input]
    assert set(consumers) <= {"DequantizeLinear", "Reshape"}
    assert {node.domain for node in quantized.graph.node} == {""}


def test_an_input_quantised_otherwise_is_refused(model):
    with pytest.raises(ExportError, match="expected one QuantizeLinear"):
        rewrites.take_pixels_as_quantized(export_onnx.convert(deployable(model)), UNIT_SCALING)
