"""ONNX Runtime's int8 sums are exact on every processor, also without VNNI."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from runtime.engines.onnxruntime import OnnxBackend

SIDE, CLASSES = 2, 3
VALUES = SIDE * SIDE * 3


def integer_classifier():
    """White pixels times weights of 127 and -128: two neighboring products exceed 16 bits."""
    weights = np.full((VALUES, CLASSES), 127, np.int8)
    weights[:, 1] = -128
    weights[::2, 2] = -128
    one, scale = np.float32(1), np.float32(1 / 127)
    constants = {
        "pixel_scale": one,
        "pixel_zero": np.uint8(0),
        "weights": weights,
        "weight_scale": np.full(CLASSES, scale, np.float32),
        "weight_zero": np.zeros(CLASSES, np.int8),
        "sum_scale": np.float32(256),
        "sum_zero": np.uint8(128),
        "flat": np.array([-1, VALUES], np.int64),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["pixels", "pixel_scale", "pixel_zero"], ["values"]),
        helper.make_node("Reshape", ["values", "flat"], ["row"]),
        helper.make_node("QuantizeLinear", ["row", "pixel_scale", "pixel_zero"], ["quantized"]),
        helper.make_node("DequantizeLinear", ["quantized", "pixel_scale", "pixel_zero"], ["left"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["right"], axis=1),
        helper.make_node("MatMul", ["left", "right"], ["sums"]),
        helper.make_node("QuantizeLinear", ["sums", "sum_scale", "sum_zero"], ["quantized_sums"]),
        helper.make_node("DequantizeLinear", ["quantized_sums", "sum_scale", "sum_zero"], ["answer"]),
    ]
    graph = helper.make_graph(
        nodes,
        "integers",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [None, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None, CLASSES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_the_largest_products_do_not_saturate():
    run = OnnxBackend(integer_classifier().SerializeToString(), "integers.onnx", 1)
    answers = run(np.full((1, SIDE, SIDE, 3), 255, np.uint8))
    assert answers.tolist() == [[3072.0, -3072.0, 0.0]]


def test_layers_that_share_their_weights_are_run():
    """The exact mode of ONNX Runtime 1.32 refuses them on x86-64 without VNNI."""
    model = integer_classifier()
    again = [node for node in model.graph.node if node.output[0] in {"right", "sums"}]
    twice = helper.make_model(model.graph, opset_imports=model.opset_import, ir_version=8)
    for node in again:
        copy = twice.graph.node.add()
        copy.CopyFrom(node)
        copy.output[0] += "_2"
        for place, name in enumerate(copy.input):
            copy.input[place] = "right_2" if name == "right" else name
    twice.graph.node.add().CopyFrom(
        helper.make_node("QuantizeLinear", ["sums_2", "sum_scale", "sum_zero"], ["quantized_2"])
    )
    twice.graph.node.add().CopyFrom(
        helper.make_node("DequantizeLinear", ["quantized_2", "sum_scale", "sum_zero"], ["answer_2"])
    )
    twice.graph.output.add().CopyFrom(helper.make_tensor_value_info("answer_2", TensorProto.FLOAT, [None, CLASSES]))
    run = OnnxBackend(twice.SerializeToString(), "shared.onnx", 1)
    assert run(np.zeros((1, SIDE, SIDE, 3), np.uint8)).tolist() == [[0.0, 0.0, 0.0]]
