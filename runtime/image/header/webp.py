"""WebP (RFC 9649): read the size of the canvas, and whether any part is lossless."""

from runtime.image.header.base import Header, Reader, damaged
from runtime.text import first_bytes

_MAX_CHUNKS = 1000
_SAFE_BYTES = 2**14
_ALPHA_FLAG = 0x10


def read(reader: Reader) -> Header:
    """Read the size of the canvas, which contains all frames, and look for lossless parts.

    Raises:
        ImageDecodeError: cut off, or no WebP chunk after the file's header.
    """
    chunk = reader.bytes(12, 4)
    if chunk == b"VP8X":
        width, height = (reader.number(at, 3, "little") + 1 for at in (24, 27))
    elif chunk == b"VP8L":
        bits = reader.number(21, 4, "little")
        width, height = bits % 2**14 + 1, (bits >> 14) % 2**14 + 1
    elif chunk == b"VP8 ":
        width, height = (reader.number(at, 2, "little") % 2**14 for at in (26, 28))
    else:
        raise damaged(f"a WebP file whose first chunk begins with {first_bytes(chunk)}")
    # Memory: two canvases, the frame as bytes, the image, and the whole file, joined from two parts. A lossless part
    # declares its number of code tables in the data: up to 65,536, in as little as 15 bits each, so it is unbounded.
    is_bounded = reader.size <= _SAFE_BYTES or not _is_lossless(reader, chunk)
    return Header("WebP", width, height, pixel_bytes=17, fixed_bytes=3 * reader.size, is_bounded=is_bounded)


def _is_lossless(reader: Reader, first: bytes) -> bool:
    if first != b"VP8X":
        return first == b"VP8L"
    if reader.number(20, 1, "little") & _ALPHA_FLAG:  # alpha is stored losslessly
        return True
    position = 12
    for _ in range(_MAX_CHUNKS):
        chunk = reader.some(position, 4)
        if chunk == b"VP8 ":
            return False
        if chunk in {b"VP8L", b"ALPH", b"ANMF", b""}:
            return True
        length = int.from_bytes(reader.some(position + 4, 4), "little")
        position += 8 + length + length % 2
    return True
