"""PNG (https://www.w3.org/TR/png-3/): read IHDR and the lengths of the chunks."""

from runtime.errors import ImageDecodeError
from runtime.image.header.base import MAX_METADATA, Header, Reader, damaged

_MAX_CHUNKS = 2**17
_SMALL_FILE = 2**20
_DATA = {b"IDAT", b"fdAT"}
_GRAY, _PALETTE = 0, 3


def read(reader: Reader) -> Header:
    """Read IHDR and the chunk lengths, up to the first pixel data; in large files up to the end.

    Raises:
        ImageDecodeError: cut off, IHDR is not the first chunk, or too many bytes besides the pixels.
    """
    if reader.bytes(8, 8) != b"\0\0\0\rIHDR":
        raise damaged("a PNG that does not begin with its header")
    width, height, depth, color = (reader.number(at, n, "big") for at, n in ((16, 4), (20, 4), (24, 1), (25, 1)))
    pixel_bytes = 1 if color in {_GRAY, _PALETTE} and depth <= 8 else 4
    return Header("PNG", width, height, pixel_bytes, fixed_bytes=2 * _around_the_pixels(reader))


def _around_the_pixels(reader: Reader) -> int:
    """Count the bytes of the chunks after IHDR that do not hold pixels."""
    position, around = 33, 0
    for _ in range(_MAX_CHUNKS):
        chunk = reader.some(position, 8)
        length, name = int.from_bytes(chunk[:4]), chunk[4:]
        if name == b"IHDR":
            raise damaged("a PNG with two headers")
        if len(name) < 4 or name == b"IEND":
            return around
        if name in _DATA and reader.size < _SMALL_FILE:
            return around
        around += length if name not in _DATA else 0
        if around > MAX_METADATA:
            raise ImageDecodeError(f"more than {MAX_METADATA:,} bytes around the pixels of a PNG: save it again")
        position += 12 + length
    raise ImageDecodeError(f"more than {_MAX_CHUNKS:,} chunks in a PNG: save it again")
