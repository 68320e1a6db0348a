"""Find the metadata and the graph in the bytes of an ONNX file.

The field numbers are those of ``onnx/onnx.proto``.
"""

from collections.abc import Iterable, Iterator

from runtime.engines.protobuf import BYTES, fields

Span = tuple[int, int]
"""Start and end of a message in bytes; the end is exclusive."""

_GRAPH, _METADATA, _KEY, _VALUE = 7, 14, 1, 2


def model_parts(content: bytes) -> tuple[dict[str, bytes], list[Span]]:
    """Return the metadata, and the spans of the graph: protobuf merges repeated parts of a message.

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
    """Yield number, start and end of each length-delimited field of a message that is stored in one or more spans."""
    for start, end in spans:
        for number, wire, first, last in fields(content, start, end):
            if wire == BYTES:
                yield number, first, last
