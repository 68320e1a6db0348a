"""GIF89a (https://www.w3.org/Graphics/GIF/spec-gif89a.txt): read the screen size and the first frame's size."""

from runtime.errors import ImageDecodeError
from runtime.image.header.base import Header, Reader, damaged

_MAX_BLOCKS = 2**16
_EXTENSION, _FRAME = 0x21, 0x2C


def read(reader: Reader) -> Header:
    """Skip the blocks before the first frame, whose position and size may enlarge the screen.

    Raises:
        ImageDecodeError: cut off, without a frame, or with too many blocks before it.
    """
    width, height, flags = (reader.number(at, n, "little") for at, n in ((6, 2), (8, 2), (10, 1)))
    position, blocks = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), 0
    while (kind := reader.number(position, 1, "little")) != _FRAME:
        if kind != _EXTENSION:
            raise damaged("a GIF without a frame")
        position += 2
        while length := reader.number(position, 1, "little"):
            position, blocks = position + 1 + length, blocks + 1
            if blocks > _MAX_BLOCKS:
                raise ImageDecodeError(f"more than {_MAX_BLOCKS:,} blocks before the picture of a GIF: save it again")
        position += 1
    left, top, across, down = (reader.number(position + at, 2, "little") for at in (1, 3, 5, 7))
    # Pillow may hold three images: the screen, an enlarged copy, and a copy to restore after the frame.
    return Header("GIF", max(width, left + across), max(height, top + down), pixel_bytes=3, fixed_bytes=2 * position)
