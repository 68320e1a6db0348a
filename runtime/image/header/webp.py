"""WebP (RFC 9649): the canvas, and whether a lossless part lies in it."""

from runtime.image.header.base import Header, Reader, damaged

_MAX_CHUNKS = 1000
_SAFE_BYTES = 2**14
_ALPHA_FLAG = 0x10


def read(reader: Reader) -> Header:
    """Read the size of the canvas, beyond which no frame reaches, and look for what is lossless.

    Raises:
        ImageDecodeError: cut off.
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
        raise damaged(f"a WebP file that begins with {chunk!r}")
    # Two canvases, the frame as bytes and the image, and the file whole, which is put together of two parts. A
    # lossless part says on the way how many tables of codes it wants, up to 65,536, in as little as 15 bits each.
    is_bounded = reader.size <= _SAFE_BYTES or not _is_lossless(reader, chunk)
    return Header("WebP", width, height, pixel_bytes=17, fixed_bytes=3 * reader.size, is_bounded=is_bounded)


def _is_lossless(reader: Reader, first: bytes) -> bool:
    if first != b"VP8X":
        return first == b"VP8L"
    if reader.number(20, 1, "little") & _ALPHA_FLAG:  # alpha is kept losslessly
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
