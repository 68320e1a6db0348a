"""The layers of a Keras model in an order of computation, nested models opened."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from pipeline.errors import ArchitectureError


@dataclass(frozen=True)
class Node:
    """A layer where it is called; tensors are numbers, equal where a nested model only passes one on."""

    operation: Any
    arguments: Any
    reads: dict[int, int]
    gives: int

    @property
    def sources(self) -> tuple[int, ...]:
        """The tensors that it reads, each once."""
        return tuple(dict.fromkeys(self.reads.values()))


def functional(model: keras.Model) -> Any:
    """A model's graph; a Sequential keeps a functional model inside, and Keras has no public way to either."""
    return getattr(model, "_functional", None) or model


def nodes_of(model: keras.Model, same: dict[int, int], seen: dict[int, str]) -> Iterator[Node]:
    """The layers of a model in an order of computation; nested models are opened.

    Args:
        model: a functional one.
        same: tensors that another one is passed on as, by number.
        seen: models that were opened.
    """
    graph = functional(model)
    if not hasattr(graph, "_nodes_by_depth") or id(model) in seen:
        why = "is called twice" if id(model) in seen else "is no functional model"
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
