"""What an ONNX file says of itself, read before any engine sees it.

Engines differ in what they take of a file that says a thing twice, and they open other files where a tensor names one.
The field numbers are those of ``onnx/onnx.proto``.
"""

from collections.abc import Iterable, Iterator

from runtime.engines.protobuf import BYTES, fields
from runtime.errors import ModelFormatError

Span = tuple[int, int]
"""First byte of a message and the one behind its last."""

_GRAPH, _METADATA, _KEY, _VALUE = 7, 14, 1, 2


def read_metadata(content: bytes, name: str) -> dict[str, bytes]:
    """Look through a file, which messages call ``name``; the values of its ``metadata_props`` by key.

    Of two values with one key the last counts.

    Raises:
        ModelFormatError: not an ONNX file, or one that keeps weights in other files.
    """
    try:
        metadata, _ = model_parts(content)
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


def _has_external_data(content: bytes) -> bool:
    from runtime.engines.onnx_graph import has_external_data

    return has_external_data(content)
