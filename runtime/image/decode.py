"""From bytes to a lazily decoded Pillow image: formats told by their first bytes, size bounded, EXIF orientation.

``PIL.Image.open`` is passed by: it imports and tries every format, hands EPS files to Ghostscript, and warns. Here the
first bytes choose one decoder, which alone is imported.
"""

import functools
import io
import os
import stat
from importlib import import_module
from typing import IO, Any, BinaryIO, Literal

from PIL import ImageFile

from runtime.errors import ImageDecodeError, ImageFileNotFoundError
from runtime.image import heif

MAX_PIXELS = 2**28
"""Larger images are refused before their memory is taken; the largest phone sensors have 200 million pixels."""

MAX_DECODED_PIXELS = 89_478_485
"""The same for what a decoder writes, which is all of an image unless it is a JPEG (Pillow's own bound)."""

MAX_SCANS = 100
"""A progressive JPEG may repeat its scans without end, and each costs time for all pixels; encoders write about ten."""

MAX_PIPE_BYTES = 2**28
"""At most this much is read from what cannot seek."""

_FORMATS = (
    (b"\xff\xd8\xff", "JpegImagePlugin", "JpegImageFile"),
    (b"\x89PNG\r\n\x1a\n", "PngImagePlugin", "PngImageFile"),
    (b"GIF8", "GifImagePlugin", "GifImageFile"),
    (b"II*\0", "TiffImagePlugin", "TiffImageFile"),
    (b"MM\0*", "TiffImagePlugin", "TiffImageFile"),
    (b"II+\0", "TiffImagePlugin", "TiffImageFile"),
    (b"MM\0+", "TiffImagePlugin", "TiffImageFile"),
    (b"BM", "BmpImagePlugin", "BmpImageFile"),
    *((b"P" + digit, "PpmImagePlugin", "PpmImageFile") for digit in (b"1", b"2", b"3", b"4", b"5", b"6")),
)
_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")
_HEAD_BYTES = 64
_BLOCK = 2**16
_ORIENTATION_TAG = 0x0112


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file that has an end: no device, whose bytes never stop, and no pipe, whose first may never come.

    Raises:
        ImageFileNotFoundError: something else.
        OSError, ValueError: it cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise ImageFileNotFoundError(f"{os.fspath(path)}: a device or pipe; expected an image file, or give its bytes")


def open_image(source: bytes | BinaryIO) -> ImageFile.ImageFile:
    """Read an image's header; its pixels are decoded when they are asked for.

    Args:
        source: encoded bytes, or a binary file, which must stay open until the pixels are there and is never closed.

    Raises:
        ImageDecodeError: not a format that is read here, or too many pixels.
        Exception: whatever Pillow raises on a damaged header.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else _seekable(source)
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    module, name = _decoder(head)
    if module == "PngImagePlugin" and not isinstance(stream, io.BytesIO):
        stream = _in_memory(stream)  # a file would make room for whatever length a chunk claims
    if module == "WebPImagePlugin":
        _refuse_beyond(MAX_DECODED_PIXELS, *_webp_size(head))  # its decoder takes memory for all pixels as it opens
    decoder = heif.decoder_class() if module == "heif" else _decoder_class(module, name)
    image: ImageFile.ImageFile = decoder(stream)
    _refuse_beyond(MAX_PIXELS, *image.size)
    return image


def decode(image: ImageFile.ImageFile, scale: int) -> None:
    """Decode the pixels, of a JPEG at 1/``scale`` (1, 2, 4 or 8) of its width and height.

    Raises:
        ImageDecodeError: that would take too much memory.
        Exception: whatever Pillow raises on damaged data.
    """
    width, height = image.size
    progressive = "progressive" in image.info
    if scale > 1:
        image.draft(None, (width // scale, height // scale))
    # The decoder of progressive files gathers the coefficients of all pixels first.
    _refuse_beyond(MAX_DECODED_PIXELS, *((width, height) if progressive else image.size))
    if progressive and image.fp:
        image.fp = io.BytesIO(_needed_scans(image.fp, scale))
    image.load()


def _needed_scans(file: IO[bytes], scale: int) -> bytes:
    file.seek(0)
    content = file.read(MAX_PIPE_BYTES)
    scans = content.count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise ImageDecodeError(f"a progressive JPEG of {scans} scans, at most {MAX_SCANS} are decoded: save it anew")
    if scale < 8:
        return content
    from runtime.image.progressive import without_unused_scans

    return without_unused_scans(content)


def _refuse_beyond(most: int, width: int, height: int) -> None:
    if width * height > most:
        raise ImageDecodeError(f"image of {width}x{height} pixels is too large: make it smaller elsewhere")


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height out of the first bytes of a WebP file, 0 where they are damaged (RFC 9649)."""

    def number(start: int, size: int) -> int:
        return int.from_bytes(head[start : start + size], "little")

    chunk = head[12:16]
    if chunk == b"VP8X":
        return number(24, 3) + 1, number(27, 3) + 1
    if chunk == b"VP8L":
        return number(21, 2) % 2**14 + 1, number(22, 3) // 2**6 % 2**14 + 1
    return (number(26, 2) % 2**14, number(28, 2) % 2**14) if chunk == b"VP8 " else (0, 0)


def exif_orientation(exif: object) -> int:
    """The orientation 1-8 in an EXIF block, 1 where there is none or the block is damaged.

    Read here and not by ``Image.getexif``, which imports the TIFF decoder and takes as long as decoding a small image.

    Args:
        exif: the block as Pillow keeps it in ``image.info["exif"]`` (CIPA DC-008: a TIFF header and directories,
            perhaps after a marker), or ``None``.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    if tiff[:2] not in {b"II", b"MM"}:
        return 1
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)

    directory = number(4, 4)
    for entry in range(directory + 2, min(directory + 2 + 12 * number(directory, 2), len(tiff)), 12):
        if number(entry, 2) == _ORIENTATION_TAG:
            orientation = number(entry + 8, 2)
            return orientation if 1 <= orientation <= 8 else 1
    return 1


def _seekable(stream: BinaryIO) -> BinaryIO:
    if hasattr(stream, "seekable") and stream.seekable():
        return stream
    content = stream.read(MAX_PIPE_BYTES + 1)
    if len(content) > MAX_PIPE_BYTES:
        raise ImageDecodeError(f"more than {MAX_PIPE_BYTES:,} bytes without an end: give one image file")
    return io.BytesIO(content)


def _in_memory(stream: BinaryIO) -> BinaryIO:
    content = stream.read(_BLOCK)  # room for MAX_PIPE_BYTES takes longer to make than a small file to read
    return io.BytesIO(content if len(content) < _BLOCK else content + stream.read(MAX_PIPE_BYTES))


@functools.cache
def _decoder_class(module: str, name: str) -> Any:
    return getattr(import_module(f"PIL.{module}"), name)


def begins_as_image(head: bytes) -> bool:
    """Whether a file with these first 64 bytes is one of the formats that are read here, HEIC among them."""
    try:
        _decoder(head)
    except ImageDecodeError:
        return False
    return True


def _decoder(head: bytes) -> tuple[str, str]:
    for magic, module, name in _FORMATS:
        if head.startswith(magic):
            return module, name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebPImagePlugin", "WebPImageFile"
    if heif.is_heic(head):
        return "heif", "HeifImageFile"
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS:
        return "AvifImagePlugin", "AvifImageFile"
    got = "an empty file" if not head else f"one that begins with {head[:8]!r}"
    raise ImageDecodeError(f"not a JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP or PPM file but {got}")
