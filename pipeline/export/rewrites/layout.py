"""Remove operators that only move values."""

import numpy as np
import onnx
from onnx import helper

from pipeline.export.rewrites.editing import (
    add_constant,
    attributes_of,
    drop_dead,
    drop_stale,
    only_reader,
    redirect,
    replace_nodes,
)

VIEWS = {"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}
"""Operators that do not change the order of values in memory."""


def merge_reshapes(model: onnx.ModelProto) -> None:
    """Replace successive reshapes by one, and remove reshapes that change nothing.

    A transpose that moves only axes of extent 1 counts as a reshape. Shapes must be static, so this rewrite must run
    while the batch size is fixed.
    """
    graph = model.graph
    shapes = static_shapes(model)
    origin: dict[str, str] = {}
    outputs = {output.name for output in graph.output}
    for node in list(graph.node):
        source, result = node.input[0] if node.input else "", node.output[0]
        if result not in shapes or not _is_view(node, shapes):
            continue
        first = origin.get(source, source)
        if shapes.get(first) == shapes[result] and result not in outputs:
            redirect(graph, result, first)
            origin[result] = first
            continue
        shape = add_constant(graph, f"{result}_static_shape", np.array(shapes[result], np.int64))
        node.CopyFrom(helper.make_node("Reshape", [first, shape], [result], name=node.name))
        origin[result] = first
    drop_dead(model)


def activate_before_transposing(model: onnx.ModelProto) -> None:
    """Move a ReLU before the transpose that it follows, so that engines fuse it with the convolution before both.

    ONNX Runtime's quantizer needs this, too: without it, QOperator files of such networks answer wrongly.
    """
    graph = model.graph
    for transpose in [node for node in graph.node if node.op_type == "Transpose"]:
        relu = only_reader(graph, transpose.output[0])
        if relu is None or relu.op_type != "Relu":
            continue
        source, result, between = transpose.input[0], relu.output[0], f"{relu.output[0]}_activated"
        permutation = attributes_of(transpose)["perm"]
        swapped = [
            helper.make_node("Relu", [source], [between], name=relu.name),
            helper.make_node("Transpose", [between], [result], name=transpose.name, perm=permutation),
        ]
        replace_nodes(graph, [transpose, relu], swapped)
    drop_stale(model)


def static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shape of each value whose extents are all known, by name."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        extents = [extent.dim_value for extent in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.HasField("shape") and all(extents):
            shapes[value.name] = tuple(extents)
    return shapes


def _is_view(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> bool:
    if node.op_type in VIEWS:
        return True
    shape = shapes.get(node.input[0]) if node.op_type == "Transpose" else None
    if shape is None:
        return False
    moved = [axis for axis in attributes_of(node)["perm"] if shape[axis] != 1]
    return moved == sorted(moved)
