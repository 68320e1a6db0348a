"""What an ONNX file says of itself, read before any engine sees it.

Engines differ in what they take of a file that says a thing twice, and they open other files where a tensor names one.
The field numbers are those of ``onnx/onnx.proto``.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from runtime.engines.protobuf import BYTES, MAX_FIELDS, VARINT, fields
from runtime.errors import ModelFormatError

if TYPE_CHECKING:
    from runtime.engines.graph import Graph

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
"""Every way from a model to a tensor: message, number of a field, message that the field holds."""
_GRAPH, _METADATA, _KEY, _VALUE, _NODE, _OUTPUT = 7, 14, 1, 2, 1, 12
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DOMAINS = ("", "ai.onnx", "com.microsoft")

Span = tuple[int, int]
"""First byte of a message and the one behind its last."""


def read_metadata(content: bytes, name: str) -> dict[str, bytes]:
    """Look through a file, which messages call ``name``; the values of its ``metadata_props`` by key.

    Of two values with one key the last counts.

    Raises:
        ModelFormatError: not an ONNX file, or one that keeps weights in other files.
    """
    try:
        metadata, _ = _model(content)
        # Looking at every tensor takes milliseconds; a file without this word in it names no other file.
        external = b"location" in content and _has_external_data(content)
    except ValueError as error:
        raise ModelFormatError(f"{name}: not an ONNX file ({error}): copy or export it again") from error
    if external:
        raise ModelFormatError(
            f"{name}: keeps weights in another file (external data), and one file is what is run: "
            "save it with save_as_external_data=False"
        )
    return metadata


def _model(content: bytes) -> tuple[dict[str, bytes], list[Span]]:
    """The metadata, and where the graph lies: a message that comes in parts is all of them together."""
    metadata: dict[str, bytes] = {}
    graph: list[Span] = []
    for number, start, end in _parts(content, [(0, len(content))]):
        if number == _GRAPH:
            graph.append((start, end))
        elif number == _METADATA:
            entry = dict.fromkeys((_KEY, _VALUE), b"")
            entry |= {part: content[first:last] for part, first, last in _parts(content, [(start, end)])}
            metadata[_text(entry[_KEY])] = entry[_VALUE]
    if not graph:
        raise ValueError("no graph in it")
    return metadata, graph


def _has_external_data(content: bytes) -> bool:
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


def read_graph(content: bytes) -> "Graph":
    """The graph, without its subgraphs.

    Raises:
        ValueError: not an ONNX file.
    """
    from runtime.engines.graph import Graph, Node

    nodes, outputs = [], []
    for number, start, end in _parts(content, _model(content)[1]):
        if number in (_NODE, _OUTPUT):
            texts: dict[int, list[str]] = {}
            for part, first, last in _parts(content, [(start, end)]):
                texts.setdefault(part, []).append(_text(content[first:last]))
            if number == _OUTPUT:
                outputs += texts.get(1, [""])[-1:]
            else:
                operator, domain = texts.get(4, [""])[-1], texts.get(7, [""])[-1]
                known = operator if domain in _DOMAINS else f"{domain}.{operator}"
                nodes.append(Node(known, tuple(texts.get(1, ())), tuple(texts.get(2, ()))))
    return Graph(tuple(nodes), tuple(outputs))


def _parts(content: bytes, spans: Iterable[Span]) -> Iterator[tuple[int, int, int]]:
    """Number and place of each field that holds bytes, of a message that may lie in several places."""
    for start, end in spans:
        for number, wire, first, last in fields(content, start, end):
            if wire == BYTES:
                yield number, first, last


def _text(content: bytes) -> str:
    return content.decode(errors="replace")
