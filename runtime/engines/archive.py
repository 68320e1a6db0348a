"""The ZIP archive inside a model file: appended to a ``.tflite`` flatbuffer, or the whole of a file."""

import io
from typing import TYPE_CHECKING

from runtime.errors import ModelFormatError

if TYPE_CHECKING:
    import zipfile

MAX_MEMBERS = 100
MAX_RATIO = 50
"""How many times the file's own size a member may unpack to: text and weights do not shrink further."""
SMALL_BYTES = 1 << 20
"""Up to this size a member's ratio is not checked."""
ENTRY = b"PK\1\2"
"""The first bytes of each entry of an archive's directory."""


def read_members(content: bytes, name: str, limits: dict[str, int]) -> dict[str, bytes]:
    """Those of the wanted members that are there.

    Args:
        content: the whole model file.
        name: what messages call it.
        limits: the wanted members and the most bytes that each may hold.

    Raises:
        ModelFormatError: a damaged archive, or a member beyond its limit.
    """
    import zipfile

    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    try:
        if content.count(ENTRY) > MAX_MEMBERS:  # each costs memory before any is asked for
            raise ValueError(f"more than {MAX_MEMBERS} members")
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            most = max(SMALL_BYTES, MAX_RATIO * len(content))
            return {
                member: read_member(archive, entries[member], min(limit, most))
                for member, limit in limits.items()
                if member in entries
            }
    except MemoryError:
        raise
    except Exception as error:  # zipfile raises half a dozen types on damaged archives
        raise ModelFormatError(f"{name}: its archive is damaged ({error}): copy or export it again") from error


def read_member(archive: "zipfile.ZipFile", entry: "zipfile.ZipInfo", limit: int) -> bytes:
    """A member, which may hold more than its header says.

    Raises:
        ValueError: it is larger than ``limit`` or than it says, or packed in a way that takes memory as it likes.
        zipfile.BadZipFile: it is damaged.
    """
    import zipfile

    if entry.file_size > limit:
        raise ValueError(f"{entry.filename} of more than {limit:,} bytes")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is packed by method {entry.compress_type}, neither stored nor deflated")
    with archive.open(entry) as file:
        # Asked for no more than it says, zipfile unpacks no more; asked for all, it unpacks to the end.
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ValueError(f"{entry.filename} does not hold the {entry.file_size:,} bytes that it says")
    return content
