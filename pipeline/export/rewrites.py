"""Small exact changes to an ONNX graph, each of them in place: the same numbers come out, sooner."""

import math
from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from pipeline.errors import ExportError
from pipeline.export.deployable import PixelScaling

IMAGE = "image"
PIXELS = "pixels"
BATCH = "N"
SPATIAL_RANK = 4
NHWC_TO_NCHW, NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def free_batch(model: onnx.ModelProto) -> None:
    """Open a graph traced with a batch of one to any batch.

    Every value of an image classifier has the batch as its first axis, so a constant reshape to ``[1, …]``
    becomes one to ``[-1, …]`` (``[0, …]``, "as it came", where -1 is taken).
    """
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    for node in list(graph.node):
        shape = _constant(graph, node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and shape.size and shape[0] == 1:
            opened = shape.copy()
            opened[0] = 0 if -1 in shape else -1
            node.input[1] = _add_constant(graph, f"{node.output[0]}_shape", opened)
    _forget_shapes(model)


def scale_pixels(model: onnx.ModelProto, scaling: PixelScaling) -> None:
    """Take uint8 pixels 0-255 and scale them to what the network expects: one node where the zero point is whole."""
    graph = model.graph
    zero_points = _zero_points(scaling)
    whole = zero_points is not None
    scales, zeros = np.array(scaling.scale, np.float32), np.array(zero_points if whole else (0, 0, 0), np.uint8)
    if len(set(scaling.scale)) == len(set(zeros.tolist())) == 1:
        scales, zeros = scales[0], zeros[0]
    inputs = [
        PIXELS,
        _add_constant(graph, "pixel_scale", scales),
        _add_constant(graph, "pixel_zero_point", zeros),
    ]
    scaled = IMAGE if whole else "scaled_pixels"
    nodes = [helper.make_node("DequantizeLinear", inputs, [scaled], name="scale_pixels", axis=3)]
    if not whole:
        offset = _add_constant(graph, "pixel_offset", np.array(scaling.offset, np.float32))
        nodes.append(helper.make_node("Add", [scaled, offset], [IMAGE], name="offset_pixels"))
    for node in reversed(nodes):
        graph.node.insert(0, node)
    _set_pixel_input(graph)


def _zero_points(scaling: PixelScaling) -> list[int] | None:
    """The pixel value 0-255 of each channel that means 0; ``None`` where one of them is no whole number."""
    points = [-offset / scale for scale, offset in zip(scaling.scale, scaling.offset, strict=True)]
    if all(-0.5 < point < 255.5 and math.isclose(point, round(point), abs_tol=1e-5) for point in points):
        return [round(point) for point in points]
    return None


def pixel_zero_point(scaling: PixelScaling) -> int | None:
    """The zero point with which pixels are a quantised tensor as they stand: one whole number, one scale for all."""
    zero_points = _zero_points(scaling)
    one = zero_points is not None and len(set(zero_points)) == len(set(scaling.scale)) == 1 and scaling.scale[0] > 0
    return zero_points[0] if one and zero_points is not None else None


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
    scale, zero_point = (_constant(graph, name) for name in first.input[1:3])
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
    _forget_shapes(model)


def group_pixels(model: onnx.ModelProto, group: int) -> bool:
    """Let the first convolution see ``group`` neighbouring pixels of a row as one of ``group`` times the channels.

    With 3 channels an int8 convolution spends its time gathering 3 bytes at a time. NHWC memory read as
    (N, H, W/group, 3*group) is the same memory, and one grouped position yields ``group`` outputs side by side, so both
    reshapes are free; the kernel grows by zeros where an output does not see a pixel.

    Returns:
        Whether the graph has a convolution that this fits: on the image itself, stride and dilation 1, same width out
        as in, and a kernel that reaches into one neighbouring group at most.
    """
    graph = model.graph
    side = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    transpose = _only_consumer(graph, IMAGE)
    convolution = _only_consumer(graph, transpose.output[0]) if transpose is not None else None
    if transpose is None or convolution is None or convolution.op_type != "Conv" or side % group:
        return False
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in convolution.attribute}
    weights, bias = (_constant(graph, name) for name in (*convolution.input[1:], "")[:2])
    if weights is None or bias is None or weights.ndim != SPATIAL_RANK or attributes.get("group", 1) != 1:
        return False
    filters, channels, _, width = weights.shape
    top, left, bottom, right = attributes.get("pads") or (0, 0, 0, 0)
    unit_steps = all(step == 1 for name in ("strides", "dilations") for step in attributes.get(name, (1, 1)))
    same_width = left + right == width - 1
    if (
        attributes.get("auto_pad", b"NOTSET") != b"NOTSET"
        or not unit_steps
        or not same_width
        or left
        or width - 1 > group
    ):
        return False
    output = convolution.output[0]
    relu = _only_consumer(graph, output)
    last = relu if relu is not None and relu.op_type == "Relu" else convolution
    grouped = _group_kernel(weights, group)
    names = {part: f"{output}_grouped_{part}" for part in ("in", "nchw", "conv", "relu", "nhwc", "out")}
    height = side + top + bottom - weights.shape[2] + 1
    convolution_inputs = [
        names["nchw"],
        _add_constant(graph, f"{output}_grouped_weights", grouped),
        _add_constant(graph, f"{output}_grouped_bias", np.tile(bias, group)),
    ]
    in_shape = np.array([-1, side, side // group, group * channels])
    out_shape = np.array([-1, height, side, filters])
    nodes = [
        helper.make_node(
            "Reshape", [IMAGE, _add_constant(graph, f"{names['in']}_shape", in_shape)], [names["in"]], name=names["in"]
        ),
        helper.make_node("Transpose", [names["in"]], [names["nchw"]], perm=NHWC_TO_NCHW, name=names["nchw"]),
        helper.make_node(
            "Conv",
            convolution_inputs,
            [names["conv"]],
            name=names["conv"],
            kernel_shape=grouped.shape[2:],
            pads=[top, 0, bottom, grouped.shape[3] - 1],
        ),
    ]
    if last is not convolution:
        nodes.append(helper.make_node("Relu", [names["conv"]], [names["relu"]], name=names["relu"]))
    nodes += [
        helper.make_node("Transpose", [nodes[-1].output[0]], [names["nhwc"]], perm=NCHW_TO_NHWC, name=names["nhwc"]),
        helper.make_node(
            "Reshape",
            [names["nhwc"], _add_constant(graph, f"{names['out']}_shape", out_shape)],
            [names["out"]],
            name=names["out"],
        ),
        helper.make_node("Transpose", [names["out"]], list(last.output), perm=NHWC_TO_NCHW, name=f"{output}_ungrouped"),
    ]
    _replace(graph, [transpose, convolution, *([last] if last is not convolution else [])], nodes)
    _forget_shapes(model)
    return True


def _group_kernel(weights: NDArray[np.float32], group: int) -> NDArray[np.float32]:
    """Kernel (O, C, H, W) without left padding, W - 1 <= group, to (group*O, group*C, H, 1 or 2)."""
    filters, channels, height, width = weights.shape
    span = (group + width - 2) // group + 1
    grouped = np.zeros((group, filters, group, channels, height, span), weights.dtype)
    for position in range(group):
        for step in range(width):
            reached = position + step
            grouped[position, :, reached % group, :, :, reached // group] = weights[:, :, :, step]
    return grouped.reshape(group * filters, group * channels, height, span)


def _set_pixel_input(graph: onnx.GraphProto) -> None:
    graph.input[0].name = PIXELS
    graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8


def _forget_shapes(model: onnx.ModelProto) -> None:
    """Drop inferred shapes, which a rewrite makes stale, and constants that no node reads any more."""
    graph = model.graph
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _constant(graph: onnx.GraphProto, name: str) -> NDArray[np.float32] | None:
    for initializer in graph.initializer:
        if initializer.name == name:
            value: NDArray[np.float32] = numpy_helper.to_array(initializer)
            return value
    return None


def _add_constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic]) -> str:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
    return name


def _consumers(graph: onnx.GraphProto, name: str) -> Iterator[onnx.NodeProto]:
    return (node for node in graph.node if name in node.input)


def _only_consumer(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """The node that reads ``name``, if it is one alone and ``name`` is no output of the graph."""
    consumers = list(_consumers(graph, name))
    is_output = any(output.name == name for output in graph.output)
    return consumers[0] if len(consumers) == 1 and not is_output else None


def _replace(graph: onnx.GraphProto, old: list[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
    """Put ``new`` where the last of ``old`` stood: all that it reads has been computed by then."""
    nodes = list(graph.node)
    position = nodes.index(old[-1])
    rest = [node for node in nodes[:position] if node not in old] + new
    rest += [node for node in nodes[position + 1 :] if node not in old]
    del graph.node[:]
    graph.node.extend(rest)
