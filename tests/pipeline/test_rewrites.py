"""Every rewrite of a graph is exact: the same numbers come out."""

from functools import cache

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from keras_outputs import keras_outputs
from pipeline.errors import ExportError
from pipeline.export import onnx as export_onnx
from pipeline.export import rewrites
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer

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
    assert np.abs(run(graph, images) - keras_outputs(model, images)).max() <= 1e-5
    assert not {"Shape", "Gather", "Slice", "Concat", "Cast"} & set(operators(graph))


CONVOLUTIONS = {
    "relu": (layers.Conv2D(5, 2, padding="same", activation="relu"), True),
    "linear": (layers.Conv2D(5, 2, padding="same"), True),
    "tall": (layers.Conv2D(5, (3, 1), padding="same", activation="relu"), True),
    "padded left": (layers.Conv2D(5, 3, padding="same", activation="relu"), False),
    "narrower out": (layers.Conv2D(5, 2, padding="valid"), False),
    "strided": (layers.Conv2D(5, 2, strides=2, padding="same"), False),
    "dilated": (layers.Conv2D(5, 2, dilation_rate=2, padding="same"), False),
}
"""Name -> the convolution, and whether pixels can be grouped before it."""


@cache
def converted(name):
    """The bytes of the ONNX graph of a network with one of ``CONVOLUTIONS``."""
    return export_onnx.convert(deployable(network(CONVOLUTIONS[name][0]))).SerializeToString()


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("group", [2, 4, 8])
def test_grouping_pixels_is_exact_where_it_fits(name, group):
    graph, fits = onnx.load_from_string(converted(name)), CONVOLUTIONS[name][1]
    images = RANDOM.random((3, 16, 16, 3), np.float32)
    before = run(graph, images)
    assert rewrites.group_pixels(graph, group) == fits
    onnx.checker.check_model(graph, full_check=True)
    assert np.abs(run(graph, images) - before).max() <= 1e-5


def test_grouping_needs_a_side_that_divides(model):
    assert not rewrites.group_pixels(export_onnx.convert(deployable(model)), 3)


def test_a_relu_goes_before_the_transpose_it_follows():
    source = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2, 3])
    result = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3, 1, 2])
    nodes = [
        onnx.helper.make_node("Transpose", ["x"], ["between"], perm=[2, 0, 1]),
        onnx.helper.make_node("Relu", ["between"], ["y"]),
    ]
    opset = onnx.helper.make_opsetid("", 17)
    graph = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "", [source], [result]), opset_imports=[opset], ir_version=8
    )
    images = RANDOM.normal(size=(1, 2, 3)).astype(np.float32)
    expected = run(graph, images)
    rewrites.activate_before_transposing(graph)
    assert operators(graph) == ["Relu", "Transpose"]
    assert (run(graph, images) == expected).all()


def test_names_are_counted_from_one_whatever_was_converted_before(model):
    same = deployable(model)
    first, second = (export_onnx.convert(same) for _ in range(2))
    assert [name for name in first.graph.node[0].output if name.rpartition("__")[2].startswith("1")]
    assert first == second


def test_scaling_pixels_is_what_keras_was_trained_on(model):
    graph = export_onnx.fp32(export_onnx.convert(deployable(model)), UNIT_SCALING)
    pixels = RANDOM.integers(0, 256, (3, 16, 16, 3), np.uint8)
    expected = keras_outputs(model, pixels.astype(np.float32) / 255)
    assert np.abs(run(graph, pixels) - expected).max() <= 1e-5


def test_pixels_are_the_quantized_input(model):
    pixels = RANDOM.integers(0, 200, (20, 16, 16, 3), np.uint8)
    quantizer = OnnxQuantizer(export_onnx.convert(deployable(model)), UNIT_SCALING, pixels, (20,))
    quantized = quantizer.build(QuantConfig(images=20))
    consumers = [node.op_type for node in quantized.graph.node if rewrites.PIXELS in node.input]
    assert set(consumers) <= {"DequantizeLinear", "Reshape"}
    assert {node.domain for node in quantized.graph.node} == {""}


def test_pixels_that_no_quantized_layer_reads_are_scaled(model):
    graph = export_onnx.convert(deployable(model))
    rewrites.take_pixels_as_quantized(graph, UNIT_SCALING)
    assert [node.op_type for node in graph.graph.node if rewrites.PIXELS in node.input] == ["DequantizeLinear"]


def graph_of(nodes, shape, result, constants=None):
    """A graph from ``x`` to ``y`` with a few nodes, each (operator, inputs, outputs, attributes)."""
    made = [
        onnx.helper.make_node(kind, inputs, outputs, name=outputs[0], **more) for kind, inputs, outputs, more in nodes
    ]
    initializers = [onnx.numpy_helper.from_array(np.array(value), name) for name, value in (constants or {}).items()]
    graph = onnx.helper.make_graph(
        made,
        "test",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, result)],
        initializers,
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def check_exact(graph, rewrite, shape, expected):
    """Check that a rewrite keeps the outputs, and that these operators remain."""
    images = RANDOM.normal(size=shape).astype(np.float32) * 4
    before = run(graph, images)
    rewrite(graph)
    onnx.checker.check_model(graph, full_check=True)
    assert operators(graph) == expected
    assert np.abs(run(graph, images) - before).max() <= 1e-5


SHAPE = [2, 6, 6, 4]
GATE = {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6), "sixth": np.float32(1 / 6)}


@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax"])
@pytest.mark.parametrize(("keepdims", "result"), [(0, [2, 4]), (1, [2, 1, 1, 4])])
def test_spatial_reductions_become_poolings(kind, keepdims, result):
    graph = graph_of([(kind, ["x"], ["y"], {"axes": [1, 2], "keepdims": keepdims})], SHAPE, result)
    pooling = {"ReduceMean": "GlobalAveragePool", "ReduceMax": "MaxPool"}[kind]
    check_exact(graph, rewrites.pool_spatial_reductions, SHAPE, ["Transpose", pooling, "Reshape"])


@pytest.mark.parametrize("axes", [[1], [2, 3], [3]])
def test_other_reductions_stay(axes):
    result = [extent for axis, extent in enumerate(SHAPE) if axis not in axes]
    graph = graph_of([("ReduceMean", ["x"], ["y"], {"axes": axes, "keepdims": 0})], SHAPE, result)
    check_exact(graph, rewrites.pool_spatial_reductions, SHAPE, ["ReduceMean"])


@pytest.mark.parametrize(("last", "constant"), [("Mul", "sixth"), ("Div", "six")])
@pytest.mark.parametrize("swish", [False, True])
def test_hard_activations_become_one_operator(last, constant, swish):
    nodes = [
        ("Add", ["x", "three"], ["a"], {}),
        ("Clip", ["a", "zero", "six"], ["b"], {}),
        (last, ["b", constant], ["c" if swish else "y"], {}),
        *([("Mul", ["x", "c"], ["y"], {})] if swish else []),
    ]
    graph = graph_of(nodes, SHAPE, SHAPE, GATE)
    check_exact(graph, rewrites.fuse_hard_sigmoids, SHAPE, ["HardSigmoid", *(["Mul"] if swish else [])])
    check_exact(graph, rewrites.fuse_hard_swishes, SHAPE, ["HardSwish" if swish else "HardSigmoid"])


def test_what_only_looks_like_a_hard_sigmoid_stays():
    constants = {**GATE, "three": np.float32(2)}
    nodes = [
        ("Add", ["x", "three"], ["a"], {}),
        ("Clip", ["a", "zero", "six"], ["b"], {}),
        ("Div", ["b", "six"], ["y"], {}),
    ]
    check_exact(graph_of(nodes, SHAPE, SHAPE, constants), rewrites.fuse_hard_sigmoids, SHAPE, ["Add", "Clip", "Div"])


@pytest.mark.parametrize(
    ("before", "value", "expected"),
    [
        ("Relu", 0.0, ["Relu", "MaxPool"]),
        ("Neg", 0.0, ["Neg", "Pad", "MaxPool"]),
        ("Relu", 1.0, ["Relu", "Pad", "MaxPool"]),
    ],
    ids=["after relu", "negative values", "padded with ones"],
)
def test_padding_moves_into_a_pooling_where_zero_is_the_least(before, value, expected):
    nodes = [
        (before, ["x"], ["a"], {}),
        ("Pad", ["a", "pads", "value"], ["b"], {}),
        ("MaxPool", ["b"], ["y"], {"kernel_shape": [3, 3], "strides": [2, 2]}),
    ]
    constants = {"pads": np.array([0, 0, 1, 0, 0, 0, 1, 2]), "value": np.float32(value)}
    graph = graph_of(nodes, [2, 4, 6, 6], [2, 4, 3, 3], constants)
    check_exact(graph, rewrites.pad_inside_pools, [2, 4, 6, 6], expected)


def test_chains_of_reshapes_merge_and_idle_ones_go():
    nodes = [
        ("GlobalAveragePool", ["x"], ["a"], {}),
        ("Squeeze", ["a", "axes"], ["b"], {}),
        ("Reshape", ["b", "square"], ["c"], {}),
        ("Transpose", ["c"], ["d"], {"perm": [0, 3, 1, 2]}),
        ("Relu", ["d"], ["e"], {}),
        ("Flatten", ["e"], ["y"], {}),
    ]
    constants = {"axes": np.array([2, 3]), "square": np.array([2, 1, 1, 4])}
    graph = graph_of(nodes, [2, 4, 5, 5], [2, 4], constants)
    check_exact(graph, rewrites.merge_reshapes, [2, 4, 5, 5], ["GlobalAveragePool", "Relu", "Reshape"])


def test_a_transpose_that_moves_values_stays():
    graph = graph_of([("Transpose", ["x"], ["y"], {"perm": [0, 3, 1, 2]})], SHAPE, [2, 4, 6, 6])
    check_exact(graph, rewrites.merge_reshapes, SHAPE, ["Transpose"])


def test_normalization_and_padding_fold_into_the_convolution():
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, strides=2, use_bias=False)(layers.ZeroPadding2D(((0, 1), (0, 1)))(image))
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
    network = keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    for layer in network.layers:
        layer.set_weights([RANDOM.uniform(0.1, 1, weight.shape) for weight in layer.get_weights()])
    graph = export_onnx.convert(deployable(network))
    expected = ["Transpose", "Conv", "Clip", "Conv", "GlobalAveragePool", "Reshape", "Gemm", "Softmax"]
    assert operators(graph) == expected
    images = RANDOM.random((3, 16, 16, 3), np.float32)
    logits = keras_outputs(network, images)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    assert np.abs(run(graph, images) - powers / powers.sum(axis=1, keepdims=True)).max() <= 1e-5


def test_images_mixed_into_one_another_are_refused():
    graph = graph_of([("Reshape", ["x", "shape"], ["y"], {})], SHAPE, [3, 96], {"shape": np.array([3, 96])})
    with pytest.raises(ExportError, match="expected the batch as the first axis"):
        rewrites.free_batch(graph)


@pytest.mark.parametrize("zero_point", [0, 7])
def test_padding_of_quantized_pixels_works_on_bytes(zero_point):
    scale = np.float32(1 / 255)
    nodes = [
        ("QuantizeLinear", ["image", "scale", "zero"], ["q"], {}),
        ("DequantizeLinear", ["q", "scale", "zero"], ["d"], {}),
        ("Pad", ["d", "pads", "one"], ["p"], {}),
        ("QuantizeLinear", ["p", "scale", "zero"], ["q2"], {}),
        ("DequantizeLinear", ["q2", "scale", "zero"], ["y"], {}),
    ]
    one = np.float32((255 - zero_point) / 255)
    constants = {"scale": scale, "zero": np.uint8(zero_point), "one": one, "pads": np.array([0] * 7 + [1])}
    graph = graph_of(nodes, SHAPE, [2, 6, 6, 5], constants)
    graph.graph.input[0].name = "image"
    offset = -zero_point / 255
    rewrites.take_pixels_as_quantized(graph, PixelScaling((1 / 255,) * 3, (offset,) * 3))
    onnx.checker.check_model(graph, full_check=True)
    assert operators(graph) == ["Pad", "DequantizeLinear"]
    pixels = RANDOM.integers(0, 256, SHAPE, np.uint8)
    result = run(graph, pixels)
    assert np.abs(result[..., :4] - (pixels / 255 + offset)).max() <= 1e-6
    assert np.abs(result[..., 4] - one).max() <= 1e-6
