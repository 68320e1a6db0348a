"""Feed the first int8 convolution several neighboring pixels at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from pipeline.export.freeze import IMAGE
from pipeline.export.rewrites.editing import add_constant, drop_stale, find_constant, only_reader, replace_nodes

SPATIAL_RANK = 4
NHWC_TO_NCHW, NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


def group_pixels(model: onnx.ModelProto, group: int) -> bool:
    """Let the first convolution see ``group`` neighboring pixels of a row as one of ``group`` times the channels.

    With 3 channels an int8 convolution spends its time gathering 3 bytes at a time. NHWC memory read as
    (N, H, W/group, 3*group) is the same memory, and one grouped position yields ``group`` outputs side by side, so both
    reshapes are free; the kernel grows by zeros where an output does not see a pixel.

    Returns:
        Whether the graph has a convolution that this fits: on the image itself, stride and dilation 1, same width out
        as in, and a kernel that reaches into one neighboring group at most.
    """
    graph = model.graph
    found = _find(graph, group)
    if found is None:
        return False
    replaced = [found.transpose, found.convolution, *([found.relu] if found.relu is not None else [])]
    replace_nodes(graph, replaced, _grouped_nodes(graph, found, group))
    drop_stale(model)
    return True


@dataclass(frozen=True)
class _First:
    """The first convolution of a graph.

    Attributes:
        transpose: turns the NHWC image into the NCHW that the convolution reads.
        convolution, relu: the convolution and what alone reads it, if that is a Relu.
        weights: float32 (O, C, H, W).
        bias: float32 (O,).
        rows, side: height and width of the image.
        top, bottom: its padding; there is none on the left.
    """

    transpose: onnx.NodeProto
    convolution: onnx.NodeProto
    relu: onnx.NodeProto | None
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    rows: int
    side: int
    top: int
    bottom: int


def _find(graph: onnx.GraphProto, group: int) -> _First | None:
    """The first convolution, where grouped pixels fit it."""
    rows, side = (extent.dim_value for extent in graph.input[0].type.tensor_type.shape.dim[1:3])
    transpose = only_reader(graph, IMAGE)
    convolution = only_reader(graph, transpose.output[0]) if transpose is not None else None
    if transpose is None or convolution is None or convolution.op_type != "Conv" or side % group:
        return None
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in convolution.attribute}
    weights, bias = (find_constant(graph, name) for name in (*convolution.input[1:], "")[:2])
    if weights is None or bias is None or weights.ndim != SPATIAL_RANK or attributes.get("group", 1) != 1:
        return None
    top, left, bottom, right = attributes.get("pads") or (0, 0, 0, 0)
    reach = weights.shape[3] - 1
    unit_steps = all(step == 1 for name in ("strides", "dilations") for step in attributes.get(name, (1, 1)))
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or not unit_steps or left or right != reach or reach > group:
        return None
    reader = only_reader(graph, convolution.output[0])
    relu = reader if reader is not None and reader.op_type == "Relu" else None
    return _First(transpose, convolution, relu, weights, bias, rows, side, top, bottom)


def _grouped_nodes(graph: onnx.GraphProto, first: _First, group: int) -> list[onnx.NodeProto]:
    """The nodes that take the place of the first convolution, from the NHWC image to what it gave."""
    output = first.convolution.output[0]
    filters, channels, kernel_height, _ = first.weights.shape
    kernel = _group_kernel(first.weights, group)
    weights = add_constant(graph, f"{output}_grouped_weights", kernel)
    bias = add_constant(graph, f"{output}_grouped_bias", np.tile(first.bias, group))
    height = first.rows + first.top + first.bottom - kernel_height + 1
    shapes = {
        "in": np.array([-1, first.rows, first.side // group, group * channels]),
        "out": np.array([-1, height, first.side, filters]),
    }
    nodes: list[onnx.NodeProto] = []

    def add(operator: str, part: str, *inputs: str, **attributes: Any) -> None:
        """Let a new node read the one before it, or the image."""
        name = f"{output}_grouped_{part}"
        source = nodes[-1].output[0] if nodes else IMAGE
        if operator == "Reshape":
            inputs = (add_constant(graph, f"{name}_shape", shapes[part]),)
        nodes.append(helper.make_node(operator, [source, *inputs], [name], name=name, **attributes))

    add("Reshape", "in")
    add("Transpose", "nchw", perm=NHWC_TO_NCHW)
    pads = [first.top, 0, first.bottom, kernel.shape[3] - 1]
    add("Conv", "conv", weights, bias, kernel_shape=kernel.shape[2:], pads=pads)
    if first.relu is not None:
        add("Relu", "relu")
    add("Transpose", "nhwc", perm=NCHW_TO_NHWC)
    add("Reshape", "out")
    result = list((first.relu if first.relu is not None else first.convolution).output)
    back = helper.make_node("Transpose", [nodes[-1].output[0]], result, perm=NHWC_TO_NCHW, name=f"{output}_ungrouped")
    return [*nodes, back]


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
