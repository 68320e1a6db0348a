"""uint8 pixels as the graph's input: scaled by its first nodes, or taken as the quantised tensor that they are."""

import math

import numpy as np
import onnx
from onnx import helper

from pipeline.errors import ExportError
from pipeline.export.freeze import IMAGE
from pipeline.export.rewrites.editing import add_constant, drop_stale, find_constant
from pipeline.export.scaling import PixelScaling

PIXELS = "pixels"


def scale_pixels(model: onnx.ModelProto, scaling: PixelScaling) -> None:
    """Take uint8 pixels 0-255 and scale them to what the network expects: one node where the zero point is whole."""
    graph = model.graph
    zero_points = scaling.zero_points
    whole = zero_points is not None
    scales, zeros = np.array(scaling.scale, np.float32), np.array(zero_points if whole else (0, 0, 0), np.uint8)
    if len(set(scaling.scale)) == len(set(zeros.tolist())) == 1:
        scales, zeros = scales[0], zeros[0]
    inputs = [
        PIXELS,
        add_constant(graph, "pixel_scale", scales),
        add_constant(graph, "pixel_zero_point", zeros),
    ]
    scaled = IMAGE if whole else "scaled_pixels"
    nodes = [helper.make_node("DequantizeLinear", inputs, [scaled], name="scale_pixels", axis=3)]
    if not whole:
        offset = add_constant(graph, "pixel_offset", np.array(scaling.offset, np.float32))
        nodes.append(helper.make_node("Add", [scaled, offset], [IMAGE], name="offset_pixels"))
    for node in reversed(nodes):
        graph.node.insert(0, node)
    _set_pixel_input(graph)


def pixel_zero_point(scaling: PixelScaling) -> int | None:
    """``scaling.zero_point``."""
    return scaling.zero_point


def take_pixels_as_quantized(model: onnx.ModelProto, scaling: PixelScaling) -> None:
    """Drop the first ``QuantizeLinear``: with the pixels' own scale and zero point, pixels are its result already.

    Raises:
        ExportError: the input is quantised in another way, so that pixels would mean something else.
    """
    graph = model.graph
    consumers = [node for node in graph.node if IMAGE in node.input]
    if len(consumers) != 1 or consumers[0].op_type != "QuantizeLinear":
        raise ExportError(
            f"the graph's input goes to {[node.op_type for node in consumers]}, expected one QuantizeLinear"
        )
    first = consumers[0]
    scale, zero_point = (find_constant(graph, name) for name in first.input[1:3])
    expected = pixel_zero_point(scaling)
    if (
        scale is None
        or zero_point is None
        or zero_point != expected
        or not math.isclose(float(scale), scaling.scale[0], rel_tol=1e-6)
    ):
        raise ExportError(
            f"the input has scale {scale} and zero point {zero_point}, expected {scaling.scale[0]} and {expected}"
        )
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == first.output[0]:
                node.input[position] = PIXELS
    graph.node.remove(first)
    _set_pixel_input(graph)
    drop_stale(model)


def _set_pixel_input(graph: onnx.GraphProto) -> None:
    graph.input[0].name = PIXELS
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
