"""Read the metadata of an ONNX file before an engine loads it, and refuse external data.

Engines disagree about duplicate metadata keys, and they open other files that a tensor names.
"""

from typing import TYPE_CHECKING

from runtime.engines.onnx_parts import model_parts
from runtime.errors import ModelFormatError

if TYPE_CHECKING:
    from runtime.engines.graph import Graph


def read_metadata(content: bytes, name: str) -> dict[str, bytes]:
    """Read the ``metadata_props`` of a file; the last of several values with one key is used.

    Args:
        content: the bytes of the file.
        name: name of the file in messages.

    Returns:
        The values by key.

    Raises:
        ModelFormatError: not an ONNX file, or its weights are in other files.
    """
    try:
        metadata, _ = model_parts(content)
        # Checking every tensor takes milliseconds; without this word in it, a file has no external data.
        external = b"location" in content and _has_external_data(content)
    except ValueError as error:
        raise ModelFormatError(f"{name}: not an ONNX file ({error}): copy or export it again") from error
    if external:
        raise ModelFormatError(
            f"{name}: keeps weights in another file (external data), but a model must be a single file: "
            "save it with save_as_external_data=False"
        )
    return metadata


def _has_external_data(content: bytes) -> bool:
    from runtime.engines.onnx_graph import has_external_data

    return has_external_data(content)


def read_graph(content: bytes) -> "Graph":
    """Read the operators of a file; raise ``ValueError`` if it is not an ONNX file."""
    from runtime.engines import onnx_graph  # needed only for files of other exporters

    return onnx_graph.read_graph(content)
