"""Small files whose decoding takes much memory or time."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache

from PIL import Image

from fuzz.mutate import mend_png
from fuzz.pictures import MEGABYTE, zeros
from fuzz.seeds import image_seeds


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(width: int, height: int, data: bytes, *extra: bytes, depth: int = 8, color: int = 2) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _zeros(megabytes: int) -> bytes:
    return zeros(megabytes * MEGABYTE)


def _patched(name: str, place: int, data: bytes) -> bytes:
    content = bytearray(image_seeds()[name])
    content[place : place + len(data)] = data
    return bytes(content)


def _tiff(name: str, width: int, height: int) -> bytes:
    content = bytearray(image_seeds()[name])
    order = "<" if content[:2] == b"II" else ">"
    for tag, value in ((256, width), (257, height), (278, height)):
        place = content.find(struct.pack(order + "HH", tag, 3))
        place = place if place >= 0 else content.find(struct.pack(order + "HH", tag, 4))
        if place >= 0:
            content[place + 2 : place + 12] = struct.pack(order + "HII", 4, 1, value)
    return bytes(content)


def _jpeg(name: str, width: int, height: int) -> bytes:
    content = bytearray(image_seeds()[name])
    place = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"))
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def _many_scans() -> bytes:
    """A progressive picture with three thousand copies of its first scan."""
    content = _jpeg("jpeg_progressive", 9000, 9000)
    start = content.find(b"\xff\xda")
    end = content.find(b"\xff", start + 2 + int.from_bytes(content[start + 2 : start + 4]))
    while content[end + 1] in (0, *range(0xD0, 0xD8)):
        end = content.find(b"\xff", end + 2)
    return content[:end] + content[start:end] * 3000 + content[end:]


def _many_frames() -> bytes:
    content = image_seeds()["gif_animated"]
    place = content.rfind(b"\x21\xf9")
    return content[:-1] + content[place:-1] * 20_000 + b";"


BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of 2.5 gigapixels": lambda: _png(50_000, 50_000, _zeros(200), color=0),
    "PNG of 2^31 by 2^31": lambda: _png(2**31 - 1, 2**31 - 1, _zeros(1)),
    "PNG of a gigapixel in one bit": lambda: _png(32_768, 32_768, _zeros(128), depth=1, color=0),
    "PNG with a profile that unpacks to 300 MB": lambda: _png(
        8, 8, zlib.compress(bytes(8 * 25)), _chunk(b"iCCP", b"x\0\0" + _zeros(300))
    ),
    "PNG with a text that unpacks to 300 MB": lambda: _png(
        8, 8, zlib.compress(bytes(8 * 25)), _chunk(b"zTXt", b"x\0\0" + _zeros(300))
    ),
    "PNG with data that unpack to 300 MB more": lambda: _png(8, 8, _zeros(300)),
    "GIF of 4 gigapixels": lambda: _patched("gif", 6, b"\xff\xff\xff\xff"),
    "GIF of 60,000 frames": _many_frames,
    "WebP of 268 megapixels": lambda: _patched("webp_lossless", 21, b"\xff\xff\xff\x0f"),
    "lossy WebP of 268 megapixels": lambda: _patched("webp", 26, b"\xff\x3f\xff\x3f"),
    "TIFF of 3.6 gigapixels": lambda: _tiff("tiff", 60_000, 60_000),
    "deflated TIFF of 3.6 gigapixels": lambda: _tiff("tiff_deflate", 60_000, 60_000),
    "fax of 3.6 gigapixels": lambda: _tiff("tiff_fax", 60_000, 60_000),
    "JPEG of 4 gigapixels": lambda: _jpeg("jpeg", 65_500, 65_500),
    "progressive JPEG of 4 gigapixels": lambda: _jpeg("jpeg_progressive", 65_500, 65_500),
    "progressive JPEG of 3,000 scans": _many_scans,
    "BMP of 3.6 gigapixels": lambda: _patched("bmp", 18, struct.pack("<II", 60_000, 60_000)),
    "PPM of 10 gigapixels": lambda: b"P6\n100000 100000\n255\n" + bytes(1000),
    "AVIF of 4 gigapixels": lambda: (
        image_seeds()
        .get("avif", b"none")
        .replace(b"ispe\0\0\0\0" + struct.pack(">II", 45, 37), b"ispe\0\0\0\0" + struct.pack(">II", 65_535, 65_535))
    ),
    "ICO that holds a PNG bomb": lambda: (
        b"\0\0\1\0\1\0"
        + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, 3000, 22)
        + mend_png(_png(50_000, 50_000, _zeros(1)))
    ),
}
"""What each is: a function that makes it."""


@cache
def thin_pictures() -> dict[str, bytes]:
    """Pictures of one row or column, as long as their formats allow; they must be classified."""
    pictures = {}
    for format_name, length in (("PNG", 65_535), ("JPEG", 65_500), ("GIF", 65_535), ("WEBP", 16_383), ("TIFF", 65_535)):
        for width, height in ((length, 1), (1, length)):
            stream = io.BytesIO()
            Image.new("RGB", (width, height), (200, 100, 50)).save(stream, format_name)
            pictures[f"{format_name} {width}x{height}"] = stream.getvalue()
    return pictures
