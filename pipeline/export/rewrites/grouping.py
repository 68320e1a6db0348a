"""Feed the first int8 convolution several neighbouring pixels at a time."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from pipeline.export.freeze import IMAGE
from pipeline.export.rewrites.editing import add_constant, drop_stale, find_constant, only_reader, replace_nodes

SPATIAL_RANK = 4
NHWC_TO_NCHW, NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


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
    transpose = only_reader(graph, IMAGE)
    convolution = only_reader(graph, transpose.output[0]) if transpose is not None else None
    if transpose is None or convolution is None or convolution.op_type != "Conv" or side % group:
        return False
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in convolution.attribute}
    weights, bias = (find_constant(graph, name) for name in (*convolution.input[1:], "")[:2])
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
    relu = only_reader(graph, output)
    last = relu if relu is not None and relu.op_type == "Relu" else convolution
    grouped = _group_kernel(weights, group)
    names = {part: f"{output}_grouped_{part}" for part in ("in", "nchw", "conv", "relu", "nhwc", "out")}
    height = side + top + bottom - weights.shape[2] + 1
    convolution_inputs = [
        names["nchw"],
        add_constant(graph, f"{output}_grouped_weights", grouped),
        add_constant(graph, f"{output}_grouped_bias", np.tile(bias, group)),
    ]
    in_shape = np.array([-1, side, side // group, group * channels])
    out_shape = np.array([-1, height, side, filters])
    nodes = [
        helper.make_node(
            "Reshape", [IMAGE, add_constant(graph, f"{names['in']}_shape", in_shape)], [names["in"]], name=names["in"]
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
            [names["nhwc"], add_constant(graph, f"{names['out']}_shape", out_shape)],
            [names["out"]],
            name=names["out"],
        ),
        helper.make_node("Transpose", [names["out"]], list(last.output), perm=NHWC_TO_NCHW, name=f"{output}_ungrouped"),
    ]
    replace_nodes(graph, [transpose, convolution, *([last] if last is not convolution else [])], nodes)
    drop_stale(model)
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
