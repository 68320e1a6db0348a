"""Read the graph of a ``.tflite`` file without an engine.

A flatbuffer consists of tables that refer to each other by offsets; each offset is checked against the file. Sources:
``schema.fbs`` of TensorFlow Lite for the numbers of fields and operators, https://flatbuffers.dev/internals/ for the
encoding.
"""

import struct
from collections.abc import Iterator
from typing import Any

from runtime.engines.graph import Graph, Node

MAX_ITEMS = 100_000
"""Longest list of operators or tensors that is read."""
_OPERATORS = {
    0: "Add",
    1: "AveragePool",
    3: "Conv",
    6: "DequantizeLinear",
    9: "Gemm",
    14: "Sigmoid",
    18: "Mul",
    22: "Reshape",
    25: "Softmax",
    40: "ReduceMean",
    41: "Sub",
    42: "Div",
    43: "Squeeze",
    50: "LogSoftmax",
    53: "Cast",
    70: "Unsqueeze",
    114: "QuantizeLinear",
    126: "MatMul",
}
"""ONNX names of built-in operators; the other operators are named by their numbers."""
_ACTIVATION_FIELD = {0: 0, 1: 5, 3: 3, 9: 0, 18: 0, 41: 0, 42: 0}
"""The field of an operator's options that holds its fused activation."""
_ACTIVATIONS = {0: "", 1: "Relu", 2: "Relu", 3: "Relu6", 4: "Tanh"}


def read_graph(content: bytes) -> Graph:
    """Read the operators of the first subgraph.

    Raises:
        ValueError: not a TFLite flatbuffer.
    """
    try:
        model = _Table(content, _number(content, 0, "<I"))
        codes = [max(code.number(0, "<b"), code.number(3, "<i")) for code in model.tables(1)]
        graph = next(model.tables(2))
        nodes = [
            Node(_operator(entry, codes[entry.number(0, "<I")]), _names(entry.numbers(1)), _names(entry.numbers(2)))
            for entry in graph.tables(3)
        ]
        return Graph(tuple(nodes), _names(graph.numbers(2)))
    except (struct.error, IndexError, StopIteration) as error:
        raise ValueError(f"not a TFLite flatbuffer ({error})") from error


def _operator(entry: "_Table", code: int) -> str:
    options = entry.table(4) if code in _ACTIVATION_FIELD else None
    activation = options.number(_ACTIVATION_FIELD[code], "<b") if options else 0
    return _ACTIVATIONS.get(activation, "activation") or _OPERATORS.get(code, f"operator {code}")


def _names(numbers: Iterator[int]) -> tuple[str, ...]:
    return tuple(map(str, numbers))


class _Table:
    """A flatbuffer table at a position of the file; its fields are accessed by their numbers."""

    def __init__(self, content: bytes, place: int) -> None:
        self._content, self._place = content, place
        self._fields = place - _number(content, place, "<i")
        self._size = _number(content, self._fields, "<H")

    def number(self, field: int, kind: str) -> int:
        """Return a number, 0 if the field is absent; ``kind`` is a format of ``struct``."""
        place = self._find(field)
        return _number(self._content, place, kind) if place else 0

    def table(self, field: int) -> "_Table | None":
        """Return a table; ``None`` if the field is absent."""
        place = self._find(field)
        return _Table(self._content, place + _number(self._content, place, "<I")) if place else None

    def numbers(self, field: int) -> Iterator[int]:
        """Return a list of 32-bit numbers."""
        return (_number(self._content, place, "<i") for place in self._places(field))

    def tables(self, field: int) -> Iterator["_Table"]:
        """Return a list of tables."""
        return (_Table(self._content, place + _number(self._content, place, "<I")) for place in self._places(field))

    def _places(self, field: int) -> Iterator[int]:
        place = self._find(field)
        if place:
            start = place + _number(self._content, place, "<I")
            count = _number(self._content, start, "<I")
            if count > MAX_ITEMS:
                raise IndexError(f"a list of {count:,}")
            yield from range(start + 4, start + 4 + 4 * count, 4)

    def _find(self, field: int) -> int:
        entry = 4 + 2 * field
        offset = _number(self._content, self._fields + entry, "<H") if entry + 2 <= self._size else 0
        return self._place + offset if offset else 0


def _number(content: bytes, place: int, kind: str) -> Any:
    if place < 0:
        raise IndexError(f"an offset to {place}")
    return struct.unpack_from(kind, content, place)[0]
