"""BMP (BITMAPCOREHEADER, BITMAPINFOHEADER and later versions): read size, depth and compression."""

from runtime.errors import ImageDecodeError
from runtime.image.header.base import MAX_SLOW_VALUES, Header, Reader, damaged
from runtime.text import plural

_HEADERS = {40, 52, 56, 64, 108, 124}
_CORE_HEADER = 12
_RUN_LENGTH = {1, 2}


def read(reader: Reader) -> Header:
    """Read the header.

    Raises:
        ImageDecodeError: cut off, of an unknown version, or run-length encoded and so large that decoding would take
            minutes.
    """
    length = reader.number(14, 4, "little")
    if length == _CORE_HEADER:
        width, height, bits = (reader.number(at, 2, "little") for at in (18, 20, 24))
        return Header("BMP", width, height, 1 if bits <= 8 else 4)
    if length not in _HEADERS:
        raise damaged(f"a BMP header of {plural(length, 'byte')}")
    width, height, compression = (reader.number(at, 4, "little") for at in (18, 22, 30))
    bits = reader.number(28, 2, "little")
    height = 2**32 - height if height >> 24 == 0xFF else height  # negative: rows stored from the top
    if compression not in _RUN_LENGTH:
        return Header("BMP", width, height, 1 if bits <= 8 else 4)
    if width * height > MAX_SLOW_VALUES or reader.size > MAX_SLOW_VALUES:
        raise ImageDecodeError(
            f"image of {width}x{height} pixels is too large for a compressed BMP, of which at most "
            f"{MAX_SLOW_VALUES:,} pixels are decoded: save it as PNG"
        )
    # One code of the data can make Pillow append 255 rows of zeros at once.
    return Header("BMP", width, height, pixel_bytes=4, fixed_bytes=256 * width, is_bounded=False)
