"""Make uint8 pixels the graph's input: its first nodes scale them, or pixels are the quantized input tensor."""

import math

import numpy as np
import onnx
from onnx import helper

from pipeline.errors import ExportError
from pipeline.export.freeze import IMAGE
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.rewrites.editing import (
    add_constant,
    drop_dead,
    find_constant,
    only_reader,
    readers,
    replace_nodes,
    writers,
)

PIXELS = "pixels"


def scale_pixels(model: onnx.ModelProto, scaling: PixelScaling) -> None:
    """Add nodes that scale uint8 pixels to the network's input: one if the zero points are integers, else two."""
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


def take_pixels_as_quantized(model: onnx.ModelProto, scaling: PixelScaling) -> None:
    """Remove the first ``QuantizeLinear``: if it has the pixels' scale and zero point, its result equals the pixels.

    If the graph begins with an operator that is not quantized, such as a crop, nodes that scale pixels are added.

    Raises:
        ExportError: the input is quantized with another scale or zero point.
    """
    graph = model.graph
    consumers = [node for node in graph.node if IMAGE in node.input]
    if len(consumers) != 1 or consumers[0].op_type != "QuantizeLinear":
        scale_pixels(model, scaling)
        return
    first = consumers[0]
    scale, zero_point = (find_constant(graph, name) for name in first.input[1:3])
    expected = scaling.zero_point
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
    _pad_quantized_pixels(graph)
    drop_dead(model)


def _set_pixel_input(graph: onnx.GraphProto) -> None:
    graph.input[0].name = PIXELS
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8


def _pad_quantized_pixels(graph: onnx.GraphProto) -> None:
    """Make padding of the image work on uint8 pixels, so that they are not dequantized, padded and quantized."""
    made_by = writers(graph)
    for pad in [node for node in graph.node if node.op_type == "Pad" and len(node.input) > 2]:
        dequantize, quantize = made_by.get(pad.input[0]), only_reader(graph, pad.output[0])
        if dequantize is None or dequantize.input[0] != PIXELS:
            continue
        if quantize is None or quantize.op_type != "QuantizeLinear":
            continue
        value = _number(graph, pad.input[2], made_by)
        scale, zero_point = (_number(graph, name, made_by) for name in dequantize.input[1:3])
        if value is None or scale is None or zero_point is None:
            continue
        byte = round(value / scale + zero_point)
        constant = add_constant(graph, f"{pad.output[0]}_byte", np.array(byte, np.uint8))
        for reader in readers(graph, quantize.output[0]):
            reader.input[1], reader.input[2] = dequantize.input[1:3]
        inputs, outputs = [PIXELS, pad.input[1], constant], list(quantize.output)
        replace_nodes(graph, [pad, quantize], [helper.make_node("Pad", inputs, outputs, name=pad.name)])


def _number(graph: onnx.GraphProto, name: str, made_by: dict[str, onnx.NodeProto]) -> float | None:
    """Return the value of a scalar constant, dequantized if a DequantizeLinear gives it; ``None`` if there is none."""
    node = made_by.get(name)
    if node is not None and node.op_type == "DequantizeLinear":
        step, scale, zero_point = (_number(graph, part, made_by) for part in node.input)
        return None if step is None or scale is None or zero_point is None else (step - zero_point) * scale
    value = find_constant(graph, name)
    return float(value) if value is not None and value.size == 1 else None
