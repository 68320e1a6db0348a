"""PBM, PGM and PPM (https://netpbm.sourceforge.net/doc/ppm.html): read the width, height and largest value."""

import re

from runtime.errors import ImageDecodeError
from runtime.image.header.base import MAX_SLOW_VALUES, Header, Reader, damaged

_MAX_HEADER = 2**16
_MAX_COMMENTS = 10_000
_BLANK = rb"(?:[\t-\r ]|#[^\r\n]*[\r\n])+"
_SIZE = re.compile(rb"P[1-6]" + _BLANK + rb"(\d{1,10})" + _BLANK + rb"(\d{1,10})(?:" + _BLANK + rb"(\d{1,10}))?")
_TEXT, _BITS, _COLOR = {b"P1", b"P2", b"P3"}, {b"P1", b"P4"}, {b"P3", b"P6"}


def read(reader: Reader) -> Header:
    """Read the size and the largest value.

    Raises:
        ImageDecodeError: no size at the beginning of the file, or so many pixels that decoding would take minutes.
    """
    found = _SIZE.match(reader.head) or _SIZE.match(reader.some(0, _MAX_HEADER))
    if not found:
        raise damaged(f"a PPM whose first {_MAX_HEADER:,} bytes do not say its size")
    magic, width, height = found[0][:2], int(found[1]), int(found[2])
    channels, largest = 3 if magic in _COLOR else 1, int(found[3] or 0)
    is_deep = magic not in _BITS and largest > 255
    pixel_bytes = 4 if channels == 3 or is_deep else 1
    # Pillow decodes these in Python, value by value, and copies the result twice.
    is_slow = magic in _TEXT or (magic not in _BITS and largest != 255 and (magic, largest) != (b"P5", 65_535))
    if not is_slow:
        return Header("PPM", width, height, pixel_bytes)
    most = MAX_SLOW_VALUES // channels
    if width * height > most or reader.size > 8 * MAX_SLOW_VALUES:
        raise ImageDecodeError(
            f"image of {width}x{height} pixels is too large for a PPM written as text or with a largest value of "
            f"{largest}, of which at most {most:,} pixels are decoded: save it as PNG"
        )
    if magic in _TEXT and _comments(reader) > _MAX_COMMENTS:
        raise ImageDecodeError(f"a PPM with more than {_MAX_COMMENTS:,} comments: save it as PNG")
    return Header("PPM", width, height, pixel_bytes=4 * pixel_bytes, fixed_bytes=2**26, is_bounded=False)


def _comments(reader: Reader) -> int:
    block = 2**20
    return sum(reader.some(at, block).count(b"#") for at in range(0, reader.size, block))
