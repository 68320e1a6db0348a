"""Compute the constant part of a TensorFlow graph in one session, before a converter reads the graph.

A frozen graph has ten constant operators per batch normalization. tf2onnx would start a session for each of them, and
TensorFlow copies each of them whenever it copies a graph.
"""

from typing import Any

import tensorflow as tf

MOST_GROWTH, SMALL = 4, 1_000_000
"""An operator is not folded if its result has more than ``SMALL`` values and more than ``MOST_GROWTH`` times as many
values as its inputs: the file would grow."""


def fold_constants(definition: Any) -> Any:
    """Replace every operator that depends only on constants by its value; return the new graph.

    Operators with several outputs or with state are kept.
    """
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    operations = graph.get_operations()  # in topological order
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
    """Return whether an operator has one output of limited size and reads nothing but these constants."""
    sources = [tensor.op.name for tensor in operation.inputs]
    if not sources or operation.control_inputs or len(operation.outputs) != 1 or operation.op_def.is_stateful:
        return False
    if not all(name in constant for name in sources):
        return False
    size = operation.outputs[0].shape.num_elements()
    read = sum(tensor.shape.num_elements() or 0 for tensor in operation.inputs)
    return size is not None and size <= max(SMALL, MOST_GROWTH * read)


def _values(graph: tf.Graph, operations: list[Any]) -> list[Any]:
    """Compute the outputs of operators, without graph optimization: the kernels are those of the network."""
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
