"""Make the first int8 convolution read several neighboring pixels at a time."""

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
    """Make the first convolution read ``group`` neighboring pixels of a row as one pixel of ``group`` x 3 channels.

    With 3 channels, an int8 convolution spends most time gathering 3 bytes at a time. An NHWC image has the same memory
    layout as (N, H, W/group, 3*group), and each grouped position gives ``group`` adjacent outputs, so both reshapes are
    free. The kernel has zeros where an output does not depend on a pixel.

    Returns:
        Whether the graph was changed. It is if it begins with a convolution of stride and dilation 1, which keeps the
        width of the image and whose kernel reaches at most into the next group.
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
        transpose: converts the NHWC image to NCHW for the convolution.
        convolution: the convolution.
        relu: the Relu that is the only reader of the convolution, if there is one.
        weights: kernel of the convolution, float32 (O, C, H, W).
        bias: bias of the convolution, float32 (O,).
        rows, side: height and width of the image in pixels.
        top, bottom: padding of the image in pixels; the left padding is 0, the right one the kernel's width - 1.
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
    """Find the first convolution; ``None`` if it cannot read grouped pixels."""
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
    """Make the nodes that replace the first convolution and its Relu, from the NHWC image to the same output."""
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
        """Append a node that reads the previous one, or the image if it is the first."""
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
    """Group a kernel (O, C, H, W) with W - 1 <= group for grouped pixels: (group*O, group*C, H, 1 or 2)."""
    filters, channels, height, width = weights.shape
    span = (group + width - 2) // group + 1
    grouped = np.zeros((group, filters, group, channels, height, span), weights.dtype)
    for position in range(group):
        for step in range(width):
            reached = position + step
            grouped[position, :, reached % group, :, :, reached // group] = weights[:, :, :, step]
    return grouped.reshape(group * filters, group * channels, height, span)
