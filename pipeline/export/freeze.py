"""Freeze a Deployable into a TensorFlow graph in which all weights are constants; both converters read this graph."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from pipeline.export.fold_constants import fold_constants

IMAGE, OUTPUT = "image", "probabilities"


Size = int | tuple[int, int]
"""The side of square images in pixels, or height and width."""


def height_and_width(size: Size) -> tuple[int, int]:
    """Return the height and width in pixels of images of a size."""
    return (size, size) if isinstance(size, int) else size


def frozen_graph(function: Callable[[tf.Tensor], tf.Tensor], size: Size, dtype: tf.DType, batch: int) -> Any:
    """Trace ``function`` for images (batch, H, W, 3) and turn its variables and captured tensors into constants.

    A fixed batch size makes all shape arithmetic constant; the constant part is computed here.

    Returns:
        The GraphDef of a graph from ``image`` to ``probabilities``, without captured tensors.
    """

    @tf.function(input_signature=[tf.TensorSpec((batch, *height_and_width(size), 3), dtype, name=IMAGE)])  # type: ignore[untyped-decorator]
    def network(image: tf.Tensor) -> tf.Tensor:
        return tf.identity(function(image), name=OUTPUT)

    concrete = network.get_concrete_function()
    definition = convert_variables_to_constants_v2(concrete).graph.as_graph_def()
    # Eager tensors of layers, such as the mean of a Normalization layer, are still inputs.
    captured = {inner.op.name: outer for outer, inner in concrete.graph.captures if outer.dtype != tf.resource}
    for node in definition.node:
        if node.name in captured:
            value = captured[node.name]
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = value.dtype.as_datatype_enum
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.numpy()))
    return fold_constants(_needed(definition))


def _needed(definition: Any) -> Any:
    """Return the graph without the nodes that do not affect its output."""
    sources = {node.name: [name.lstrip("^").partition(":")[0] for name in node.input] for node in definition.node}
    needed: set[str] = set()
    rest = [IMAGE, OUTPUT]
    while rest:
        name = rest.pop()
        if name not in needed:
            needed.add(name)
            rest += sources[name]
    kept = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    kept.node.extend(node for node in definition.node if node.name in needed)
    return kept


def as_function(definition: Any, size: Size, dtype: tf.DType, scaled: Callable[[tf.Tensor], tf.Tensor]) -> Any:
    """Return a function that applies ``scaled`` to one image, then a graph of ``frozen_graph`` with batch size 1.

    Returns:
        A concrete function from ``image``, ``dtype`` (1, H, W, 3), to ``probabilities``, without captured tensors.
    """
    graph = tf.compat.v1.GraphDef(versions=definition.versions, library=definition.library)
    graph.node.extend(node for node in definition.node if node.name != IMAGE)

    def network(image: tf.Tensor) -> tf.Tensor:
        inputs, outputs = {f"{IMAGE}:0": scaled(image)}, [f"{OUTPUT}:0"]
        return tf.import_graph_def(graph, input_map=inputs, return_elements=outputs, name="")[0]

    signature = [tf.TensorSpec((1, *height_and_width(size), 3), dtype, name=IMAGE)]
    return tf.compat.v1.wrap_function(network, signature)
