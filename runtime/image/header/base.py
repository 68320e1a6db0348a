"""``Header`` (image size and memory estimate), the limits on it, and ``Reader`` for numbers in a file."""

from typing import BinaryIO, Literal, NamedTuple

from runtime.errors import ImageDecodeError

MAX_FILE_BYTES = 2**28
"""Larger image files are refused unread; equals the size of MAX_DECODED_PIXELS in uncompressed RGB."""

MAX_PIXELS = 2**28
"""JPEGs of more pixels are refused, even decoded at a reduced scale. The largest phone sensors have 200 million."""

MAX_DECODED_PIXELS = 89_478_485
"""Limit for images whose pixels are all decoded (Pillow's own limit)."""

MAX_SIDE = 2**20
"""Limit for the longer side in pixels, because rows are converted whole."""

MAX_MEMORY = 384 * 2**20
"""Bytes that decoding one image may take; together with the process itself less than 512 MiB."""

MAX_METADATA = 2**25
"""Bytes of text, profiles and previews around the pixels; Pillow reads them all."""

MAX_SLOW_VALUES = 2**24
"""Limit for pixels times channels where Pillow decodes in Python: run-length encoded BMP, and PPM as text."""

HEAD_BYTES = 4096
"""Bytes that are read at once; most files' headers fit."""

Order = Literal["little", "big"]


def damaged(reason: str) -> ImageDecodeError:
    """Return the error for a file that ends early or contradicts itself."""
    return ImageDecodeError(f"not an image that can be decoded whole ({reason})")


class Header(NamedTuple):
    """Image size and memory estimate from a file's header.

    Attributes:
        kind: name of the format.
        width, height: of the stored image in pixels.
        pixel_bytes: peak memory of decoding, in bytes per decoded pixel.
        fixed_bytes: memory in bytes that decoding takes in addition, at any scale.
        is_bounded: whether the memory estimate holds for any content of the file and the time is proportional to the
            pixels. False for decoders whose needs depend on the data, and for those written in Python.
        needs_all_pixels: whether decoding at a reduced scale still takes memory for all pixels.
    """

    kind: str
    width: int
    height: int
    pixel_bytes: int
    fixed_bytes: int = 0
    is_bounded: bool = True
    needs_all_pixels: bool = True

    def memory(self, scale: int = 1) -> int:
        """Estimate the peak memory of decoding at 1/``scale``, in bytes."""
        return self.fixed_bytes + self.pixel_bytes * -(-self.width // scale) * -(-self.height // scale)

    def require_size(self) -> None:
        """Refuse images that are too large to decode at any scale.

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
        """Return the peak memory of decoding at 1/``scale``, in bytes.

        Raises:
            ImageDecodeError: it exceeds ``MAX_MEMORY``, or too many pixels would be decoded.
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
        return ImageDecodeError(f"image of {self.width}x{self.height} pixels is too large: {why}; make it smaller")


class Reader:
    """A reader of bytes and numbers at given positions of a file.

    Args:
        file: a seekable binary file; its first ``HEAD_BYTES`` are read at once.
        size: number of bytes of the file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        file.seek(0)
        self.head = file.read(HEAD_BYTES)
        self.size = size
        self._file = file

    def some(self, position: int, count: int) -> bytes:
        """Read up to ``count`` bytes; fewer at the end of the file."""
        if position + count <= len(self.head):
            return self.head[position : position + count]
        self._file.seek(min(position, self.size))
        return self._file.read(min(count, max(0, self.size - position)))

    def bytes(self, position: int, count: int) -> bytes:
        """Read exactly ``count`` bytes.

        Raises:
            ImageDecodeError: the file ends earlier.
        """
        content = self.some(position, count)
        if len(content) != count:
            raise damaged(f"cut off: its header continues after byte {self.size:,}")
        return content

    def number(self, position: int, count: int, order: Order) -> int:
        """Read the unsigned number in ``count`` bytes."""
        return int.from_bytes(self.bytes(position, count), order)
