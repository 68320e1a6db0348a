"""From the batch that the graph is traced with to any batch."""

import onnx

from pipeline.errors import ExportError
from pipeline.export.rewrites.editing import add_constant, drop_stale, find_constant

BATCH = "N"
TRACED_BATCH = 2
"""Fixed while tracing, so that shapes are constants. Not 1, which TensorFlow would squeeze out of the way."""


def free_batch(model: onnx.ModelProto) -> None:
    """Open a graph traced with ``TRACED_BATCH`` images to any batch.

    Every value of an image classifier has the batch as its first axis, so a constant reshape to ``[2, …]``
    becomes one to ``[-1, …]`` (``[0, …]``, "as it came", where -1 is taken).

    Raises:
        ExportError: the model reshapes several images into one value.
    """
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    for node in list(graph.node):
        shape = find_constant(graph, node.input[1]) if node.op_type == "Reshape" else None
        if shape is None or not shape.size or shape[0] == 0:
            continue
        if shape[0] != TRACED_BATCH and not (shape[0] == -1 and (shape[1:] > 0).all()):
            raise ExportError(f"{node.name} reshapes to {shape.tolist()}: expected the batch as the first axis")
        opened = shape.copy()
        opened[0] = 0 if -1 in shape[1:] else -1
        node.input[1] = add_constant(graph, f"{node.output[0]}_shape", opened)
    drop_stale(model)
