"""The ZIP archive inside a model file: appended to a ``.tflite`` flatbuffer, the whole of an ``.ncnn`` file."""

import io
import zipfile

from runtime.errors import ModelFormatError


def read_members(content: bytes, name: str, limits: dict[str, int]) -> dict[str, bytes]:
    """Those of the wanted members that are there.

    Args:
        content: the whole model file.
        name: what messages call it.
        limits: the wanted members and the most bytes that each may hold.

    Raises:
        ModelFormatError: a damaged archive, or a member beyond its limit.
    """
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            members = [member for member in limits if member in sizes]
            for member in members:
                if sizes[member] > limits[member]:
                    raise ValueError(f"{member} of more than {limits[member]} bytes")
            return {member: archive.read(member) for member in members}
    except Exception as error:  # zipfile raises half a dozen types on damaged archives
        raise ModelFormatError(f"{name}: its archive is damaged ({error}): copy or export it again") from error
