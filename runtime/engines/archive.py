"""Read the ZIP archive in a model file: appended to a ``.tflite`` flatbuffer, or the whole file."""

import io
from typing import TYPE_CHECKING

from runtime.errors import ModelFormatError
from runtime.text import plural

if TYPE_CHECKING:
    import zipfile

MAX_MEMBERS = 100
MAX_RATIO = 50
"""Largest size of an unpacked member, as a multiple of the file's size: text and weights do not compress better."""
SMALL_BYTES = 1 << 20
"""The ratio of members up to this size (bytes) is not checked."""
ENTRY = b"PK\1\2"
"""First bytes of each entry in an archive's directory."""


def read_members(content: bytes, name: str, limits: dict[str, int]) -> dict[str, bytes]:
    """Read the wanted members of the archive; members that are missing are left out.

    Args:
        content: the whole model file.
        name: name of the file in messages.
        limits: the wanted members, each with its largest size in bytes.

    Raises:
        ModelFormatError: the archive is damaged, or a member exceeds its limit.
    """
    import zipfile

    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    try:
        if content.count(ENTRY) > MAX_MEMBERS:  # zipfile takes memory for every entry when it opens the archive
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
    """Read a member with bounded memory, even if it holds more bytes than its header declares.

    Raises:
        ValueError: it is larger than ``limit``, its size differs from the header's, or its compression method is
            neither stored nor deflated (the memory of other methods is not bounded).
        zipfile.BadZipFile: it is damaged.
    """
    import zipfile

    if entry.file_size > limit:
        raise ValueError(f"{entry.filename} of more than {limit:,} bytes")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename} is packed by method {entry.compress_type}, neither stored nor deflated")
    with archive.open(entry) as file:
        # read(n) unpacks about n bytes; read() would unpack everything, whatever the header declares.
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ValueError(f"{entry.filename} does not hold the {plural(entry.file_size, 'byte')} declared in its header")
    return content
