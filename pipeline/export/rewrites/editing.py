"""Helpers for rewrites of an ONNX graph: find and add constants, find the readers of a value, replace nodes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


def drop_stale(model: onnx.ModelProto) -> None:
    """Remove inferred shapes, which rewrites invalidate, and constants that no node reads."""
    graph = model.graph
    del graph.value_info[:]
    used = {name for node in graph.node for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def find_constant(graph: onnx.GraphProto, name: str) -> NDArray[np.float32] | None:
    """Return the value of a constant; ``None`` if a node computes ``name``, or if it is empty (an omitted input)."""
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
    """Return the nodes that read a value."""
    return (node for node in graph.node if name in node.input)


def only_reader(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """Return the only node that reads ``name``; ``None`` if there is not exactly one, or if ``name`` is an output."""
    consumers = list(readers(graph, name))
    is_output = any(output.name == name for output in graph.output)
    return consumers[0] if len(consumers) == 1 and not is_output else None


def replace_nodes(graph: onnx.GraphProto, old: list[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
    """Replace ``old`` by ``new`` at the position of the last of ``old``, where all inputs have been computed."""
    nodes = list(graph.node)
    position = nodes.index(old[-1])
    rest = [node for node in nodes[:position] if node not in old] + new
    rest += [node for node in nodes[position + 1 :] if node not in old]
    del graph.node[:]
    graph.node.extend(rest)


def writers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Return the node that computes each value."""
    return {output: node for node in graph.node for output in node.output}


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def redirect(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Make every node that reads ``old`` read ``new`` instead."""
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name == old:
                node.input[position] = new


def drop_dead(model: onnx.ModelProto) -> None:
    """Remove nodes whose results are not used, inferred shapes, and unused constants."""
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
