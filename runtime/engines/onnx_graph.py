"""Read from an ONNX file's graph whether tensors are stored in other files, and the operators.

The field numbers are those of ``onnx/onnx.proto``.
"""

from runtime.engines.graph import Graph, Node
from runtime.engines.onnx_parts import model_parts, parts
from runtime.engines.protobuf import BYTES, MAX_FIELDS, VARINT, fields

MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""All paths from a model to a tensor: for each message, the field numbers and the messages in these fields."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_NODE, _OUTPUT = 1, 12
_DOMAINS = ("", "ai.onnx", "com.microsoft")


def has_external_data(content: bytes) -> bool:
    """Return whether any tensor is stored in another file.

    Raises:
        ValueError: not an ONNX file, or more than ``MAX_FIELDS`` fields.
    """
    messages, read = [("model", 0, len(content))], 0
    while messages:
        kind, start, end = messages.pop()
        inner = MESSAGES[kind]
        for number, wire, first, last in fields(content, start, end):
            read += 1
            if wire == BYTES and number in inner:
                messages.append((inner[number], first, last))
            elif kind == "tensor" and (
                (wire == BYTES and number == _EXTERNAL_DATA) or (wire == VARINT and number == _DATA_LOCATION and first)
            ):
                return True
        if read > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS:,} fields")
    return False


def read_graph(content: bytes) -> Graph:
    """Read the operators of the main graph, without subgraphs.

    Raises:
        ValueError: not an ONNX file.
    """
    nodes, outputs = [], []
    for number, start, end in parts(content, model_parts(content)[1]):
        if number in (_NODE, _OUTPUT):
            texts: dict[int, list[str]] = {}
            for part, first, last in parts(content, [(start, end)]):
                texts.setdefault(part, []).append(content[first:last].decode(errors="replace"))
            if number == _OUTPUT:
                outputs += texts.get(1, [""])[-1:]
            else:
                operator, domain = texts.get(4, [""])[-1], texts.get(7, [""])[-1]
                known = operator if domain in _DOMAINS else f"{domain}.{operator}"
                nodes.append(Node(known, tuple(texts.get(1, ())), tuple(texts.get(2, ()))))
    return Graph(tuple(nodes), tuple(outputs))
