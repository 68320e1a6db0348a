"""Pictures crafted to take unexpectedly much memory or time: a table of functions by name.

``mutate`` damages good files at random; these files are undamaged but malicious. Each must give one line, a class or an
error, in bounded memory and time.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache, partial

from PIL import Image

from fuzz.crafted_jpeg import JPEGS
from fuzz.crafted_tiff import TIFFS
from fuzz.crafted_webp import many_codes
from fuzz.seeds import image_seeds, pillow_has

MEGAPIXELS_64 = 8192
MOST = 9459
"""Side of a square of as many pixels as are decoded at all."""
MEGABYTE = 1 << 20

HEAVY = re.compile(
    "9459|megapixels|most pixels|turned|of 1[06] bits|wide|high|one row|one strip|12,000|264|progressive JPEG$"
    "|interlaced|raw P|MB |AVIF|lossless WebP|lossy WebP|65,536|500 Exif|64 texts|put back"
)
"""Names of those that take long to make or to decode."""

COLORS = {"P": 7, "RGB": (10, 20, 30), "RGBA": (10, 20, 30, 99)}

Pictures = dict[str, Callable[[], bytes]]


@cache
def zeros(total: int) -> bytes:
    """Deflated zeros; a megabyte is deflated once, and its blocks are repeated."""
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    whole, rest = divmod(total, MEGABYTE)
    blocks = compressor.compress(bytes(MEGABYTE)) + compressor.flush(zlib.Z_FULL_FLUSH)
    last = compressor.compress(bytes(rest)) + compressor.flush()
    adler = (total % 65_521) << 16 | 1
    return b"\x78\xda" + blocks * whole + last + struct.pack(">I", adler)


def chunk(name: bytes, data: bytes = b"") -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, kind: tuple[int, int], before: bytes = b"", *, interlace: int = 0) -> bytes:
    """A black PNG of a bit depth and color type, with given chunks before its pixels."""
    depth, color = kind
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = (width * channels * depth + 7) // 8 + 1
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace))
    palette = chunk(b"PLTE", bytes(range(256)) * 3) + chunk(b"tRNS", bytes(range(256))) if color == 3 else b""
    rows = height * (2 if interlace else 1)
    return b"\x89PNG\r\n\x1a\n" + header + before + palette + chunk(b"IDAT", zeros(row * rows)) + chunk(b"IEND")


def _pngs() -> Pictures:
    small = partial(png, 8, 8, (8, 0))
    kinds = [(1, 0), (8, 0), (16, 0), (1, 3), (8, 3), (8, 2), (16, 2), (8, 4), (16, 4), (8, 6), (16, 6)]
    return {
        **{
            f"PNG of {MOST}x{MOST}, {depth} bits of color type {color}": partial(png, MOST, MOST, (depth, color))
            for depth, color in kinds
        },
        "interlaced PNG": lambda: png(MEGAPIXELS_64, MEGAPIXELS_64, (8, 6), interlace=1),
        "wide PNG": lambda: png(1 << 20, 80, (8, 3)),
        "high PNG": lambda: png(80, 1 << 20, (8, 3)),
        "PNG of one row": lambda: png(80_000_000, 1, (8, 3)),
        "PNG of two sizes": lambda: small(chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0))),
        "PNG of 64 texts of a megabyte": lambda: small(chunk(b"zTXt", b"a\0\0" + zeros(MEGABYTE)) * 64),
        "PNG of 60 MB of private chunks": lambda: small(chunk(b"prVt", bytes(MEGABYTE)) * 60),
        "PNG of a million empty chunks": lambda: small(chunk(b"prVt") * 1_000_000),
        "PNG of a million empty pixel chunks": lambda: small(chunk(b"IDAT") * 1_000_000),
        "PNG whose size comes late": lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"prVt", bytes(50)) + small()[8:],
        "PNG with data that claim 2 GB": lambda: (
            small().replace(b"IDAT", b"IDAT", 1).replace(small()[33:41], b"\x7f\xff\xff\xffIDAT")
        ),
    }


def gif(width: int, height: int, before: bytes = b"", frame: tuple[int, int, int, int] | None = None) -> bytes:
    """A GIF whose data repeat the code that clears the table."""
    left, top, across, down = frame or (0, 0, width, height)
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", left, top, across, down, 0) + b"\x02"
    return screen + before + image + (b"\xff" + b"\x24" * 255) * 200 + b"\0;"


def saved(kind: str, mode: str, width: int, height: int, **options: object) -> bytes:
    """A picture of one color, written by Pillow."""
    stream = io.BytesIO()
    Image.new(mode, (width, height), COLORS[mode]).save(stream, kind, **options)
    return stream.getvalue()


def _gifs() -> Pictures:
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * 4 * 4096 + b"\0"
    return {
        "GIF of the most pixels": lambda: saved("GIF", "P", MOST, MOST),
        "GIF cut off": lambda: gif(MOST, MOST),
        "GIF of 4 gigapixels": lambda: gif(65_535, 65_535),
        "GIF whose frame goes beyond its screen": lambda: gif(8, 8, frame=(60_000, 60_000, 5_000, 5_000)),
        "GIF of 64 MB of comments": lambda: gif(8, 8, before=comment * 16),
        "GIF of half a million comments": lambda: gif(8, 8, before=b"!\xfe\1x\0" * 500_000),
        "GIF that is put back to what was before": lambda: gif(MOST, MOST, b"!\xf9\4\x0d\0\0\0\0"),
        "GIF that is put back to transparent": lambda: gif(MOST, MOST, b"!\xf9\4\x09\0\0\0\0"),
    }


def bmp(width: int, height: int, kind: tuple[int, int], data: bytes, *, length: int = 40) -> bytes:
    """A BMP with a bit depth, a compression and these data."""
    bits, compression = kind
    palette = bytes(4 << bits) if bits <= 8 else b""
    header = struct.pack("<IiiHHIIiiII", length, width, height, 1, bits, compression, len(data), 0, 0, 0, 0)
    return (
        b"BM" + struct.pack("<IHHI", 54 + len(palette) + len(data), 0, 0, 54 + len(palette)) + header + palette + data
    )


def _bmps() -> Pictures:
    return {
        **{f"BMP of {bits} bits": partial(bmp, MOST, MOST, (bits, 0), bytes(1000)) for bits in (1, 4, 8, 16, 24, 32)},
        "BMP of 64 megapixels": lambda: bmp(8192, 8192, (24, 0), bytes(3 * 8192**2)),
        "BMP of RLE8 that jumps": lambda: bmp(4000, 4000, (8, 1), b"\0\2\xff\xff" * 100_000),
        "BMP of RLE4 in lines": lambda: bmp(4000, 4000, (4, 2), b"\xff\x12" * 100_000),
        "BMP of RLE8 that ends every line": lambda: bmp(16_000_000, 1, (8, 1), b"\1\1\0\0" * 1000),
        "BMP of RLE8 as wide as it may be": lambda: bmp(80_000_000, 1, (8, 1), b"\0\2\xff\xff" * 1000),
        "BMP of RLE8 of all pixels": lambda: bmp(MOST, MOST, (8, 1), b"\1\1" * 1_000_000),
        "BMP with a header of 4 GB": lambda: bmp(8, 8, (24, 0), bytes(40 * MEGABYTE), length=0xFFFFFFF0),
        "BMP stored from the top": lambda: bmp(MOST, -MOST, (24, 0), bytes(1000)),
    }


def _ppms() -> Pictures:
    size = b"%d %d\n" % (MOST, MOST)
    return {
        **{
            f"text PPM {kind.decode()}": partial(_join, kind, b"\n", size, b"255\n1 2 3\n")
            for kind in (b"P1", b"P2", b"P3")
        },
        "raw PBM": lambda: b"P4\n" + size + bytes(MOST * (MOST + 7) // 8),
        "raw PGM": lambda: b"P5\n" + size + b"255\n" + bytes(MOST * MOST),
        "raw PPM": lambda: b"P6\n8192 8192\n255\n" + bytes(3 * 8192**2),
        "PGM of 16 bits": lambda: b"P5\n8192 8192\n65535\n" + bytes(2 * 8192**2),
        "PGM of 10 bits": lambda: b"P5\n8192 8192\n1023\n" + bytes(2 * 8192**2),
        "PPM of 10 bits": lambda: b"P6\n6000 6000\n1023\n" + bytes(6 * 6000**2),
        "PPM of 64 MB of comment": lambda: b"P6\n#" + b"x" * 64 * MEGABYTE + b"\n8 8\n255\n" + bytes(192),
        "PPM of a million comments": lambda: b"P3\n8 8\n255\n" + b"#\n" * 1_000_000 + b"1 " * 192,
        "PPM without a blank": lambda: b"P3\n4000 4000\n255\n" + b"1" * 16 * MEGABYTE,
        "PPM whose size is two": lambda: b"P6\n8#\n8 8\n255\n" + bytes(8 * 88 * 3),
        "PPM of a gigapixel": lambda: b"P6\n100000 100000\n255\n" + bytes(1000),
    }


def _join(*parts: bytes) -> bytes:
    return b"".join(parts)


def webp(name: bytes, head: bytes, data: bytes = b"") -> bytes:
    """A RIFF file of one chunk, or of an extended header and more."""
    body = name + struct.pack("<I", len(head)) + head + data
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _extended(width: int, height: int, flags: int, data: bytes = b"") -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(b"VP8X", bytes([flags, 0, 0, 0]) + canvas, data)


def _webps() -> Pictures:
    picture = partial(saved, "WEBP", method=0, quality=0)
    return {
        "lossless WebP": lambda: picture("RGB", 5460, 16_383, lossless=True),
        "lossless WebP with alpha": lambda: picture("RGBA", 5460, 16_383, lossless=True),
        "lossless WebP of 20 megapixels": lambda: picture("RGB", 5000, 4000, lossless=True),
        "lossy WebP of 22 megapixels": lambda: picture("RGB", 4700, 4700),
        "lossy WebP of 22 megapixels with alpha": lambda: picture("RGBA", 4700, 4700),
        "WebP of 268 megapixels": lambda: webp(b"VP8L", b"\x2f\xff\xff\xff\x0f" + bytes(10)),
        "WebP with a canvas of 268 megapixels": lambda: _extended(16_384, 16_384, 0, picture("RGB", 8, 8)[12:]),
        "WebP whose canvas is less than its frame": lambda: _extended(
            8, 8, 0, picture("RGB", 16_383, 5_000, lossless=True)[12:]
        ),
        "WebP of a million chunks": lambda: _extended(8, 8, 0, b"prvt\0\0\0\0" * 1_000_000 + picture("RGB", 8, 8)[12:]),
        "WebP of 65,536 tables of codes": many_codes,
    }


def _says(content: bytes, side: int, other: int) -> bytes:
    head = b"ispe\0\0\0\0"
    return content.replace(head + struct.pack(">II", side, side), head + struct.pack(">II", other, other))


def _avifs() -> Pictures:
    picture = partial(saved, "AVIF", "RGB", quality=1, speed=10)
    big = cache(partial(picture, 8_192, 8_192, subsampling="4:4:4"))
    return {
        "AVIF of 67 megapixels": big,
        "AVIF that says 16x16": lambda: _says(big(), 8_192, 16),
        "AVIF that says 5000x5000": lambda: _says(big(), 8_192, 5_000),
        "AVIF of 25 megapixels": lambda: picture(5_000, 5_000),
        "AVIF that says more than it has": lambda: _says(picture(64, 64), 64, 5_000),
        "AVIF of items without end": lambda: picture(64, 64).replace(
            b"\0\0\0\x28iinf", b"\0\0\0\x28iinf\0\0\0\0\xff\xff"
        ),
    }


def crafted() -> Pictures:
    """The crafted pictures: names, and functions that make them."""
    avifs = _avifs() if pillow_has("avif") else {}
    return _pngs() | JPEGS | _gifs() | _bmps() | _ppms() | TIFFS | _webps() | avifs


def sparse() -> dict[str, bytes]:
    """The beginning of a sparse file of a terabyte."""
    seeds = image_seeds()
    return {
        "PPM comment": b"P6\n#",
        "GIF comment": b"GIF89a\x08\0\x08\0\0\0\0!\xfe",
        "BMP": b"BM",
        **{name: seeds[name] for name in ("jpeg", "png", "tiff", "tiff_big", "webp", "gif", "bmp", "ppm", "pgm")},
    }
