"""Decode image files with Pillow: the first bytes select the decoder, the header gives the memory it will need.

``PIL.Image.open`` is not used: it imports and tries every format, passes EPS files to Ghostscript, and emits warnings.
Here only the selected decoder is imported, after the header has been checked.
"""

import errno
import functools
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import IO, Any, BinaryIO, NamedTuple

from PIL import ImageFile

from runtime.errors import ImageDecodeError, ImageError, ImageFileNotFoundError
from runtime.image import heif
from runtime.image.header.base import MAX_FILE_BYTES, Header, Reader, damaged
from runtime.system import files
from runtime.text import first_bytes

MAX_SCANS = 100
"""Most scans of a progressive JPEG: each takes time for all pixels. Encoders write about ten."""

_FORMATS = (
    (b"\xff\xd8\xff", "jpeg", "JpegImagePlugin", "JpegImageFile"),
    (b"\x89PNG\r\n\x1a\n", "png", "PngImagePlugin", "PngImageFile"),
    (b"GIF8", "gif", "GifImagePlugin", "GifImageFile"),
    *((magic, "tiff", "TiffImagePlugin", "TiffImageFile") for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"BM", "bmp", "BmpImagePlugin", "BmpImageFile"),
    *((b"P" + digit, "ppm", "PpmImagePlugin", "PpmImageFile") for digit in (b"1", b"2", b"3", b"4", b"5", b"6")),
)
"""First bytes of a file, our module that reads its header, Pillow's module and class that decode it."""

_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")
_SMALL_FILE = 2**20


class Encoded(NamedTuple):
    """An image file that is not decoded yet.

    Attributes:
        stream: the file's bytes.
        size: number of bytes.
        header: image size and memory needs, read from the file's header.
        plugin: Pillow's module and class that decode the file.
    """

    stream: BinaryIO
    size: int
    header: Header
    plugin: tuple[str, str]


class Opened(NamedTuple):
    """An image whose header Pillow has read; its pixels are decoded later, by ``decode``."""

    image: ImageFile.ImageFile
    header: Header


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file; refuse devices and pipes, which may be endless or block forever.

    Raises:
        ImageFileNotFoundError: the file does not exist, is not regular, or cannot be opened.
    """
    try:
        return files.open_regular(path)
    except FileNotFoundError as error:
        reason = "no such image file" if error.strerror == os.strerror(errno.ENOENT) else error.strerror
        raise ImageFileNotFoundError(f"{os.fspath(path)}: {reason}") from error
    except OSError as error:
        raise ImageFileNotFoundError(
            f"{os.fspath(path)}: {error.strerror}; expected a readable image file, or give its bytes"
        ) from error


def examine(source: bytes | BinaryIO) -> Encoded:
    """Read an image's header without decoding pixels.

    Args:
        source: encoded bytes, or a binary file. The file must stay open until the pixels are decoded; it is not closed
            here.

    Raises:
        ImageDecodeError: unsupported format, file too large, too many pixels, or damaged header.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    size = _size(stream)
    if size is None:
        stream = _in_memory(stream)
        size = stream.getbuffer().nbytes
    if size > MAX_FILE_BYTES:
        raise ImageDecodeError(f"{size:,} bytes, at most {MAX_FILE_BYTES:,} are read: make it smaller")
    reader = Reader(stream, size)
    name, *plugin = _format(reader.head)
    if name == "heif":
        heif.decoder_class()  # raises if pillow-heif is missing; that error comes before those of the header
    header: Header = import_module(f"runtime.image.header.{name}").read(reader)
    header.require_size()
    return Encoded(stream, size, header, (plugin[0], plugin[1]))


def open_encoded(encoded: Encoded) -> Opened:
    """Let Pillow read the header.

    Raises:
        ImageDecodeError: Pillow reports damage, or more pixels than our header module found.
    """
    header, stream = encoded.header, encoded.stream
    stream.seek(0)
    if encoded.size <= _SMALL_FILE and not isinstance(stream, io.BytesIO):
        stream = io.BytesIO(stream.read(encoded.size))  # faster to read, and cannot grow meanwhile
    with decoder_errors():
        image: ImageFile.ImageFile = _decoder_class(*encoded.plugin)(stream)
    if image.width * image.height > header.width * header.height:
        raise damaged(f"its header has both {header.width}x{header.height} and {image.width}x{image.height} pixels")
    return Opened(image, header)


def open_image(source: bytes | BinaryIO) -> Opened:
    """Call ``examine``, then ``open_encoded``."""
    return open_encoded(examine(source))


def decode(opened: Opened, scale: int) -> None:
    """Decode the pixels in place; a JPEG at 1/``scale`` (1, 2, 4 or 8) of its width and height.

    Raises:
        ImageDecodeError: decoding would take too much memory, or the data are damaged.
    """
    image, header = opened
    header.require_memory(scale)
    with decoder_errors():
        if scale > 1:
            image.draft(None, (image.width // scale, image.height // scale))
        if "progressive" in image.info and image.fp:
            image.fp = io.BytesIO(_needed_scans(image.fp, scale))
        image.load()


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Turn the dozen error types that Pillow's decoders raise on damaged files into one.

    Raises:
        ImageDecodeError: replaces every error except ``MemoryError`` and ``ImageError``.
    """
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise damaged(str(error) or type(error).__name__) from error


def _needed_scans(file: IO[bytes], scale: int) -> bytes:
    file.seek(0)
    content = file.read()  # the size is bounded; read(n) would allocate n bytes first
    scans = content.count(b"\xff\xda")
    if scans > MAX_SCANS:
        raise ImageDecodeError(f"a progressive JPEG of {scans} scans, at most {MAX_SCANS} are decoded: save it again")
    if scale < 8:
        return content
    from runtime.image.progressive import without_unused_scans

    return without_unused_scans(content)


def _size(stream: BinaryIO) -> int | None:
    """Return the number of bytes; ``None`` if it is not a regular file, so that only reading can tell."""
    if isinstance(stream, io.BytesIO):
        return stream.getbuffer().nbytes
    try:
        status = os.fstat(stream.fileno())
        return status.st_size if stat.S_ISREG(status.st_mode) and stream.seekable() else None
    except (AttributeError, OSError):
        return None


def _in_memory(stream: BinaryIO) -> io.BytesIO:
    """Return the content of a file that is not regular, from the start if it is seekable."""
    if hasattr(stream, "seekable") and stream.seekable():
        stream.seek(0)
    content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ImageDecodeError(f"more than {MAX_FILE_BYTES:,} bytes without an end: give one image file")
    return io.BytesIO(content)


@functools.cache
def _decoder_class(module: str, name: str) -> Any:
    return heif.decoder_class() if module == "heif" else getattr(import_module(f"PIL.{module}"), name)


def begins_as_image(head: bytes) -> bool:
    """Return whether a file with these first 64 bytes has a supported format (HEIC included)."""
    try:
        _format(head)
    except ImageDecodeError:
        return False
    return True


def _format(head: bytes) -> tuple[str, str, str]:
    """Return the name of our header module, and Pillow's module and class, for these first bytes.

    Raises:
        ImageDecodeError: unsupported format.
    """
    for magic, *names in _FORMATS:
        if head.startswith(magic):
            return names[0], names[1], names[2]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp", "WebPImagePlugin", "WebPImageFile"
    if heif.is_heic(head[:64]):
        return "heif", "heif", "HeifImageFile"
    if head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS:
        return "avif", "AvifImagePlugin", "AvifImageFile"
    got = " but an empty file" if not head else f": it begins with {first_bytes(head)}"
    raise ImageDecodeError(f"not a JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP or PPM file{got}")
