"""Compute the constant part of a TensorFlow graph at once, before a converter reads it.

A frozen graph has ten constant operators for each batch normalization. tf2onnx starts a session for each of them, and
TensorFlow copies them one by one wherever it copies a graph.
"""

from typing import Any

import tensorflow as tf

MOST_GROWTH, SMALL = 4, 1_000_000
"""An operator whose result has more values than ``SMALL`` and more than so many times those that it reads stays."""


def fold_constants(definition: Any) -> Any:
    """The graph with the value in place of every operator that depends on constants alone.

    Operators with several results or with a state stay.
    """
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    operations = graph.get_operations()  # each behind those that it reads
    constant = set[str]()
    for operation in operations:
        if operation.type == "Const" or _depends_on(operation, constant):
            constant.add(operation.name)
    needed = {
        source.name
        for operation in operations
        if operation.name not in constant
        for source in (*(tensor.op for tensor in operation.inputs), *operation.control_inputs)
    }
    computed = [operation for operation in operations if operation.name in constant & needed]
    values = dict(zip((operation.name for operation in computed), _values(graph, computed), strict=True))
    folded = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    for node in definition.node:
        if node.name in values:
            folded.node.append(_constant(node.name, values[node.name]))
        elif node.name not in constant:
            folded.node.append(node)
    return folded


def _depends_on(operation: Any, constant: set[str]) -> bool:
    """Whether an operator computes one value, of bearable size, from these constants and from nothing else."""
    sources = [tensor.op.name for tensor in operation.inputs]
    if not sources or operation.control_inputs or len(operation.outputs) != 1 or operation.op_def.is_stateful:
        return False
    if not all(name in constant for name in sources):
        return False
    size = operation.outputs[0].shape.num_elements()
    read = sum(tensor.shape.num_elements() or 0 for tensor in operation.inputs)
    return size is not None and size <= max(SMALL, MOST_GROWTH * read)


def _values(graph: tf.Graph, operations: list[Any]) -> list[Any]:
    """What operators give, each by the kernel that runs it in the network: no optimizer rearranges them."""
    config = tf.compat.v1.ConfigProto()
    config.graph_options.optimizer_options.opt_level = tf.compat.v1.OptimizerOptions.L0
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.compat.v1.Session(graph=graph, config=config) as session:
        values: list[Any] = session.run([operation.outputs[0] for operation in operations])
    return values


def _constant(name: str, value: Any) -> Any:
    node = tf.compat.v1.NodeDef(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node
