"""Replace several operators by one."""

import math
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper

from pipeline.export.rewrites.editing import (
    add_constant,
    attributes_of,
    drop_dead,
    find_constant,
    only_reader,
    replace_nodes,
    writers,
)
from pipeline.export.rewrites.layout import static_shapes

NHWC_SPATIAL = [1, 2]
NHWC_TO_NCHW = [0, 3, 1, 2]


def fold_constants_and_normalization(model: onnx.ModelProto) -> None:
    """Apply ONNX Runtime's basic optimizations, which use standard operators only.

    They fold constants, fold batch normalization and padding into convolutions, replace a matrix product and its bias
    by Gemm, and move transposes until they cancel.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        optimized = onnx.load(path)
    used = {node.domain for node in optimized.graph.node}
    del optimized.opset_import[:]  # ONNX Runtime lists all domains that it knows, even unused ones
    optimized.opset_import.extend(entry for entry in model.opset_import if entry.domain in used)
    optimized.ir_version = model.ir_version
    model.CopyFrom(optimized)
    drop_dead(model)


def pool_spatial_reductions(model: onnx.ModelProto) -> None:
    """Replace a mean or maximum over height and width by a pooling, for which engines have integer kernels.

    The pooling takes (N, C, H, W); a later rewrite cancels the transpose before it with another one.
    """
    graph = model.graph
    shapes = static_shapes(model)
    for node in [node for node in graph.node if node.op_type in ("ReduceMean", "ReduceMax")]:
        source, result = node.input[0], node.output[0]
        shape, axes = shapes.get(source, ()), attributes_of(node).get("axes", ())
        if len(shape) != 4 or result not in shapes or sorted(axis % 4 for axis in axes) != NHWC_SPATIAL:
            continue
        channels_first, pooled = f"{result}_channels_first", f"{result}_pooled"
        pooling = helper.make_node("GlobalAveragePool", [channels_first], [pooled], name=pooled)
        if node.op_type == "ReduceMax":
            pooling = helper.make_node("MaxPool", [channels_first], [pooled], name=pooled, kernel_shape=shape[1:3])
        target = add_constant(graph, f"{result}_pooled_shape", np.array(shapes[result], np.int64))
        nodes = [
            helper.make_node("Transpose", [source], [channels_first], name=channels_first, perm=NHWC_TO_NCHW),
            pooling,
            helper.make_node("Reshape", [pooled, target], [result], name=node.name),
        ]
        replace_nodes(graph, [node], nodes)


def pad_inside_pools(model: onnx.ModelProto) -> None:
    """Move padding with zeros into the max pooling that follows, if the padded values are never negative."""
    graph = model.graph
    made_by = writers(graph)
    for pool in [node for node in graph.node if node.op_type == "MaxPool"]:
        pad = made_by.get(pool.input[0])
        attributes = attributes_of(pool)
        if pad is None or pad.op_type != "Pad" or only_reader(graph, pad.output[0]) is None:
            continue
        pads = find_constant(graph, pad.input[1])
        value = find_constant(graph, pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(())
        if pads is None or value is None or value.any() or not _never_negative(graph, made_by.get(pad.input[0])):
            continue
        (_, _, top, left), (_, _, bottom, right) = pads[:4].tolist(), pads[4:].tolist()
        own = attributes.get("pads", (0, 0, 0, 0))
        summed = [extra + given for extra, given in zip((top, left, bottom, right), own, strict=True)]
        outside = [int(extent) for extent in (*pads[:2], *pads[4:6])]
        height, width = attributes["kernel_shape"]
        fits = max(summed[0], summed[2]) < height and max(summed[1], summed[3]) < width
        if any(outside) or min(summed) < 0 or not fits or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
            continue
        kept = [attribute for attribute in pool.attribute if attribute.name != "pads"]
        del pool.attribute[:]
        pool.attribute.extend([*kept, helper.make_attribute("pads", summed)])
        pool.input[0] = pad.input[0]
    drop_dead(model)


def _never_negative(graph: onnx.GraphProto, node: onnx.NodeProto | None) -> bool:
    if node is None or node.op_type != "Clip":
        return node is not None and node.op_type in ("Relu", "Sigmoid", "HardSigmoid", "Softmax")
    low = find_constant(graph, node.input[1])
    return low is not None and float(low) >= 0


def fuse_hard_sigmoids(model: onnx.ModelProto) -> None:
    """Replace ``relu6(x + 3) / 6`` by HardSigmoid."""
    graph = model.graph
    for add in [node for node in graph.node if node.op_type == "Add"]:
        source = next((name for name in add.input if _beside(graph, add, name, 3)), None)
        clip = only_reader(graph, add.output[0])
        if source is None or clip is None or clip.op_type != "Clip":
            continue
        low, high = (find_constant(graph, name) for name in (*clip.input[1:3], "", "")[:2])
        sixth = only_reader(graph, clip.output[0])
        if not (_is(low, 0) and _is(high, 6)) or sixth is None:
            continue
        factor = {"Mul": 1 / 6, "Div": 6.0}.get(sixth.op_type)
        if factor is not None and sixth.input[0] == clip.output[0] and _beside(graph, sixth, clip.output[0], factor):
            sixth.CopyFrom(
                helper.make_node("HardSigmoid", [source], list(sixth.output), name=sixth.name, alpha=1 / 6, beta=0.5)
            )
    drop_dead(model)


def fuse_hard_swishes(model: onnx.ModelProto) -> None:
    """Replace ``x * hard_sigmoid(x)`` by HardSwish."""
    graph = model.graph
    for gate in [node for node in graph.node if node.op_type == "HardSigmoid"]:
        mul = only_reader(graph, gate.output[0])
        attributes = attributes_of(gate)
        standard = math.isclose(attributes["alpha"], 1 / 6, rel_tol=1e-6) and attributes["beta"] == 0.5
        if standard and mul is not None and mul.op_type == "Mul" and gate.input[0] in mul.input:
            mul.CopyFrom(helper.make_node("HardSwish", [gate.input[0]], list(mul.output), name=mul.name))
    drop_dead(model)


def _beside(graph: onnx.GraphProto, node: onnx.NodeProto, name: str, value: float) -> bool:
    """Return whether the other operand of a binary node is the scalar ``value``."""
    others = [operand for operand in node.input if operand != name]
    return len(others) == 1 and _is(find_constant(graph, others[0]), value)


def _is(array: NDArray[np.float32] | None, value: float) -> bool:
    return array is not None and array.size == 1 and math.isclose(float(array.item()), value, rel_tol=1e-6)
