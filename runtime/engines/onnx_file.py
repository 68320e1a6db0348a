"""What an ONNX file says of itself, read before any engine sees it.

Engines differ in what they take of a file that says a thing twice, and they open other files where a tensor names one.
The field numbers are those of ``onnx/onnx.proto``.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from runtime.engines.protobuf import BYTES, MAX_FIELDS, VARINT, fields
from runtime.errors import ModelFormatError

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
_GRAPH, _METADATA, _KEY, _VALUE, _NODE = 7, 14, 1, 2, 1
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14

Span = tuple[int, int]
"""First byte of a message and the one behind its last."""


class OnnxFile(NamedTuple):
    """An ONNX file, looked through.

    Attributes:
        metadata: the values of ``metadata_props`` by key; of two with one key the last.
        graph: where the graph lies; a message that comes in parts is all of them together.
    """

    metadata: dict[str, bytes]
    graph: tuple[Span, ...]


class Node(NamedTuple):
    """A node of the graph: its operator, and the names of its tensors."""

    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_onnx(content: bytes, name: str) -> OnnxFile:
    """Look through a file, which messages call ``name``.

    Raises:
        ModelFormatError: not an ONNX file, or one that keeps weights in other files.
    """
    try:
        metadata, graph = _model(content)
        # Looking at every tensor takes milliseconds; a file without this word in it names no other file.
        external = b"location" in content and _has_external_data(content)
    except ValueError as error:
        raise ModelFormatError(f"{name}: not an ONNX file ({error}): copy or export it again") from error
    if external:
        raise ModelFormatError(
            f"{name}: keeps weights in another file (external data), and one file is what is run: "
            "save it with save_as_external_data=False"
        )
    return OnnxFile(metadata, graph)


def _model(content: bytes) -> tuple[dict[str, bytes], tuple[Span, ...]]:
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
    return metadata, tuple(graph)


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


def nodes(content: bytes, graph: tuple[Span, ...]) -> Iterator[Node]:
    """The nodes of a graph, in their order."""
    for number, start, end in _parts(content, graph):
        if number == _NODE:
            texts: dict[int, list[str]] = {}
            for part, first, last in _parts(content, [(start, end)]):
                texts.setdefault(part, []).append(_text(content[first:last]))
            operator, domain = texts.get(4, [""])[-1], texts.get(7, [""])[-1]
            yield Node(operator, domain, tuple(texts.get(1, ())), tuple(texts.get(2, ())))


def _parts(content: bytes, spans: Iterable[Span]) -> Iterator[tuple[int, int, int]]:
    """Number and place of each field that holds bytes, of a message that may lie in several places."""
    for start, end in spans:
        for number, wire, first, last in fields(content, start, end):
            if wire == BYTES:
                yield number, first, last


def _text(content: bytes) -> str:
    return content.decode(errors="replace")
