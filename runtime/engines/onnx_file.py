"""Read the metadata of an ONNX file before any engine sees it.

Engines differ in what they take of a file that says a thing twice, and they open other files where a tensor names one.
"""

from runtime.engines.onnx_parts import model_parts
from runtime.errors import ModelFormatError


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


def _has_external_data(content: bytes) -> bool:
    from runtime.engines.onnx_graph import has_external_data

    return has_external_data(content)
