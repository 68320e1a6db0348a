"""Tools of all rewrites of an ONNX graph: find a constant, add one, find the readers of a value, swap nodes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


def drop_stale(model: onnx.ModelProto) -> None:
    """Drop inferred shapes, which a rewrite makes stale, and constants that no node reads any more."""
    graph = model.graph
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def find_constant(graph: onnx.GraphProto, name: str) -> NDArray[np.float32] | None:
    """The value of a constant; ``None`` if ``name`` is computed, or empty as an input left out is."""
    for initializer in graph.initializer:
        if initializer.name == name:
            value: NDArray[np.float32] = numpy_helper.to_array(initializer)
            return value
    return None


def add_constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic]) -> str:
    """Add a constant and return its name."""
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name))
    return name


def readers(graph: onnx.GraphProto, name: str) -> Iterator[onnx.NodeProto]:
    """The nodes that read a value."""
    return (node for node in graph.node if name in node.input)


def only_reader(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """The node that reads ``name``, if it is one alone and ``name`` is no output of the graph."""
    consumers = list(readers(graph, name))
    is_output = any(output.name == name for output in graph.output)
    return consumers[0] if len(consumers) == 1 and not is_output else None


def replace_nodes(graph: onnx.GraphProto, old: list[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
    """Put ``new`` where the last of ``old`` stood: all that it reads has been computed by then."""
    nodes = list(graph.node)
    position = nodes.index(old[-1])
    rest = [node for node in nodes[:position] if node not in old] + new
    rest += [node for node in nodes[position + 1 :] if node not in old]
    del graph.node[:]
    graph.node.extend(rest)


def writers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that computes each value."""
    return {output: node for node in graph.node for output in node.output}


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def redirect(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Let every node that reads ``old`` read ``new`` instead."""
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new


def drop_dead(model: onnx.ModelProto) -> None:
    """Remove the nodes whose result nobody reads, and what becomes stale or unread with them."""
    graph = model.graph
    wanted = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    drop_stale(model)
