"""Make a graph that was traced with a fixed batch size accept any batch size."""

import onnx

from pipeline.errors import ExportError
from pipeline.export.rewrites.editing import add_constant, drop_stale, find_constant
from pipeline.export.rewrites.layout import static_shapes

BATCH = "N"
TRACED_BATCH = 2
"""Batch size while tracing; it is fixed, so that shapes are constants. It is not 1, because TensorFlow removes axes of
extent 1."""


BROADCASTING = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Where"), (0, 1, 2)),
    "Gemm": (2,),
}
"""Operators that broadcast a row to every image, and the indices of the inputs that may be such a row."""


def share_batch_constants(model: onnx.ModelProto) -> None:
    """Reduce constants with equal rows for all traced images to one row, which is broadcast to any batch size.

    Recurrent layers have such constants: their initial state, multiplied by weights, is folded into one.
    """
    graph, shapes = model.graph, static_shapes(model)
    for node in graph.node:
        result = shapes.get(node.output[0], ())
        places = BROADCASTING.get(node.op_type, ())
        if result[:1] != (TRACED_BATCH,):
            continue
        for position in [place for place in places if place < len(node.input)]:
            value = find_constant(graph, node.input[position])
            if value is None or value.ndim != len(result) or value.shape[0] != TRACED_BATCH:
                continue
            if (value == value[:1]).all():
                row = value[0] if node.op_type == "Gemm" else value[:1]  # quantizers expect a bias of one axis
                node.input[position] = add_constant(graph, f"{node.output[0]}_row_{position}", row)
    drop_stale(model)


def free_batch(model: onnx.ModelProto) -> None:
    """Make a graph traced with ``TRACED_BATCH`` images accept any batch size.

    Every tensor of an image classifier has the batch as its first axis, so a constant reshape to ``[2, …]`` becomes one
    to ``[-1, …]``, or to ``[0, …]`` ("keep this axis") if another axis is -1. A reshape to ``[2 * rows, …]``, which
    stacks the rows of all images as in attention and in dense layers over positions, becomes one to ``[-1, …]``.

    Raises:
        ExportError: a reshape does not have the batch in its first axis.
    """
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    for node in list(graph.node):
        shape = find_constant(graph, node.input[1]) if node.op_type == "Reshape" else None
        if shape is None or not shape.size or shape[0] == 0:
            continue
        fixed = bool((shape[1:] > 0).all())
        rows = shape[0] == -1 or shape[0] % TRACED_BATCH == 0
        if shape[0] != TRACED_BATCH and not (fixed and rows):
            raise ExportError(f"{node.name} reshapes to {shape.tolist()}: expected the batch as the first axis")
        opened = shape.copy()
        opened[0] = 0 if -1 in shape[1:] else -1
        node.input[1] = add_constant(graph, f"{node.output[0]}_shape", opened)
    drop_stale(model)
