"""Where the parts of an ONNX file lie: its metadata and its graph.

The field numbers are those of ``onnx/onnx.proto``.
"""

from collections.abc import Iterable, Iterator

from runtime.engines.protobuf import BYTES, fields

Span = tuple[int, int]
"""First byte of a message and the one behind its last."""

_GRAPH, _METADATA, _KEY, _VALUE = 7, 14, 1, 2


def model_parts(content: bytes) -> tuple[dict[str, bytes], list[Span]]:
    """The metadata, and where the graph lies: a message that comes in parts is all of them together.

    Raises:
        ValueError: not an ONNX file.
    """
    metadata: dict[str, bytes] = {}
    graph: list[Span] = []
    for number, start, end in parts(content, [(0, len(content))]):
        if number == _GRAPH:
            graph.append((start, end))
        elif number == _METADATA:
            entry = dict.fromkeys((_KEY, _VALUE), b"")
            entry |= {part: content[first:last] for part, first, last in parts(content, [(start, end)])}
            metadata[entry[_KEY].decode(errors="replace")] = entry[_VALUE]
    if not graph:
        raise ValueError("no graph in it")
    return metadata, graph


def parts(content: bytes, spans: Iterable[Span]) -> Iterator[tuple[int, int, int]]:
    """Number and place of each field that holds bytes, of a message that may lie in several places."""
    for start, end in spans:
        for number, wire, first, last in fields(content, start, end):
            if wire == BYTES:
                yield number, first, last
