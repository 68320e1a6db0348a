"""Iterate over the layers of a Keras model in topological order, including those of nested models."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from pipeline.errors import ArchitectureError


@dataclass(frozen=True)
class Node:
    """One call of a layer.

    Tensors are identified by numbers; a tensor that a nested model receives or returns has one number inside and
    outside of the model.

    Attributes:
        operation: the layer.
        arguments: the arguments of the call, as Keras stores them.
        reads: numbers of the tensors that the call reads, by the ``id`` of the symbolic tensor.
        gives: number of the tensor that the call returns.
    """

    operation: Any
    arguments: Any
    reads: dict[int, int]
    gives: int

    @property
    def sources(self) -> tuple[int, ...]:
        """Numbers of the tensors that the call reads, each once."""
        return tuple(dict.fromkeys(self.reads.values()))


def functional(model: keras.Model) -> Any:
    """Return a model's graph; a Sequential model holds a functional one, to which Keras gives no public access."""
    return getattr(model, "_functional", None) or model


def nodes_of(model: keras.Model, same: dict[int, int], seen: dict[int, str]) -> Iterator[Node]:
    """Yield the calls of all layers of a model, nested models included, in topological order.

    Args:
        model: a functional or Sequential model.
        same: number of each tensor that crosses the border of a nested model, by its ``id``; filled in.
        seen: names of the models already visited, by their ``id``; filled in.

    Raises:
        ArchitectureError: a nested model is called twice or is not functional.
    """
    graph = functional(model)
    if not hasattr(graph, "_nodes_by_depth") or id(model) in seen:
        why = "is called twice" if id(model) in seen else "is not a functional model"
        raise ArchitectureError(f"the model {model.name} inside {why}, which quantization-aware training cannot follow")
    seen[id(model)] = model.name
    by_depth = graph._nodes_by_depth  # noqa: SLF001
    for node in (node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input):
        if isinstance(node.operation, keras.Model):
            inner = functional(node.operation)
            given = id(node.input_tensors[0])
            same[id(inner.inputs[0])] = same.get(given, given)
            yield from nodes_of(node.operation, same, seen)
            result = id(inner.outputs[0])
            same[id(node.outputs[0])] = same.get(result, result)
            continue
        reads = {id(tensor): same.get(id(tensor), id(tensor)) for tensor in node.input_tensors}
        yield Node(node.operation, node.arguments, reads, id(node.outputs[0]))
