"""What a header says, the limits for it, and careful reading of a file's numbers."""

from typing import BinaryIO, Literal, NamedTuple

from runtime.errors import ImageDecodeError

MAX_FILE_BYTES = 2**28
"""Larger image files are refused unread: as many bytes as MAX_DECODED_PIXELS take uncompressed in RGB."""

MAX_PIXELS = 2**28
"""Larger JPEGs are refused; they are decoded at a reduced scale. The largest phone sensors have 200 million pixels."""

MAX_DECODED_PIXELS = 89_478_485
"""The same where all pixels are decoded (Pillow's own bound)."""

MAX_SIDE = 2**20
"""Pixels of the longer side; a row is converted at a time."""

MAX_MEMORY = 384 * 2**20
"""Bytes that decoding one image may take: with the process itself, less than 512 MiB."""

MAX_METADATA = 2**25
"""Bytes of text, profiles and previews that may stand around the pixels: Pillow reads them all."""

MAX_SLOW_VALUES = 2**24
"""Pixels times channels where Pillow decodes in Python: run-length encoded BMP, and PPM as text."""

HEAD_BYTES = 4096
"""Read at once; the header of most files ends within."""

Order = Literal["little", "big"]


def damaged(reason: str) -> ImageDecodeError:
    """The error for a file that ends early or contradicts itself."""
    return ImageDecodeError(f"not an image that can be decoded whole ({reason})")


class Header(NamedTuple):
    """What a header says.

    Attributes:
        kind: name of the format.
        width, height: in pixels, as stored.
        pixel_bytes: memory that decoding takes for each decoded pixel at its peak.
        fixed_bytes: memory that it takes besides, however small the scale.
        is_bounded: whether these hold whatever the rest of the file says, and its time is that of so many pixels; not
            so for decoders that learn from the data how much they need, and for those written in Python.
        needs_all_pixels: whether the memory for all pixels is taken even where a reduced scale is decoded.
    """

    kind: str
    width: int
    height: int
    pixel_bytes: int
    fixed_bytes: int = 0
    is_bounded: bool = True
    needs_all_pixels: bool = True

    def memory(self, scale: int = 1) -> int:
        """Bytes that decoding at 1/``scale`` takes at its peak."""
        return self.fixed_bytes + self.pixel_bytes * -(-self.width // scale) * -(-self.height // scale)

    def require_size(self) -> None:
        """Refuse more pixels than any scale is decoded of.

        Raises:
            ImageDecodeError: the image is too large, or has no pixels.
        """
        pixels = self.width * self.height
        if pixels < 1:
            raise damaged(f"{self.width}x{self.height} pixels")
        most = MAX_DECODED_PIXELS if self.needs_all_pixels else MAX_PIXELS
        if pixels > most or max(self.width, self.height) > MAX_SIDE:
            raise self._too_large(f"at most {most:,} pixels of a {self.kind} file are read")

    def require_memory(self, scale: int = 1) -> int:
        """Refuse what takes more than ``MAX_MEMORY`` at 1/``scale``; otherwise say what it takes.

        Raises:
            ImageDecodeError: it takes too much.
        """
        memory = self.memory(scale)
        if self.width * self.height > MAX_DECODED_PIXELS * scale**2:
            raise self._too_large(f"at most {MAX_DECODED_PIXELS:,} are decoded")
        if memory > MAX_MEMORY:
            raise self._too_large(
                f"decoding this {self.kind} file takes {memory >> 20:,} MiB, at most {MAX_MEMORY >> 20} are taken"
            )
        return memory

    def _too_large(self, why: str) -> ImageDecodeError:
        return ImageDecodeError(
            f"image of {self.width}x{self.height} pixels is too large: {why}; make it smaller elsewhere"
        )


class Reader:
    """Bytes and numbers of a file by their position.

    Args:
        file: read where what is asked for lies behind its head.
        size: how many bytes it has.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        file.seek(0)
        self.head = file.read(HEAD_BYTES)
        self.size = size
        self._file = file

    def some(self, position: int, count: int) -> bytes:
        """Up to ``count`` bytes; fewer at the end of the file."""
        if position + count <= len(self.head):
            return self.head[position : position + count]
        self._file.seek(min(position, self.size))
        return self._file.read(min(count, max(0, self.size - position)))

    def bytes(self, position: int, count: int) -> bytes:
        """Exactly ``count`` bytes.

        Raises:
            ImageDecodeError: the file ends before.
        """
        content = self.some(position, count)
        if len(content) != count:
            raise damaged(f"cut off: its header goes on behind byte {self.size:,}")
        return content

    def number(self, position: int, count: int, order: Order) -> int:
        """The unsigned number in ``count`` bytes."""
        return int.from_bytes(self.bytes(position, count), order)
