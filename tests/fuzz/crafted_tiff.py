"""TIFFs written by hand with arbitrary tags."""

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial

SIDE = 9459
LONG, SHORT, UNDEFINED = 4, 3, 7
RAW, LZW, JPEG, DEFLATE, PACKBITS, FAX4, LZMA, ZSTD = 1, 5, 7, 8, 32773, 4, 34925, 50000

Tag = tuple[int, int, int, int | str]


def tiff(width: int, height: int, tags: list[Tag], data: bytes = b"", order: str = "<") -> bytes:
    """One directory followed by ``data``; the values "DATA" and "LENGTH" stand for its position and length."""
    rows = sorted([(256, LONG, 1, width), (257, LONG, 1, height), *tags], key=lambda row: row[0])
    place = 8 + 2 + 12 * len(rows) + 4
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(rows))
    for tag, kind, count, value in rows:
        number = {"DATA": place, "LENGTH": len(data)}.get(value, value) if isinstance(value, str) else value
        is_short = kind == SHORT and count == 1 and not isinstance(value, str)
        content += struct.pack(order + "HHI", tag, kind, count)
        content += struct.pack(order + ("HH" if is_short else "I"), *((number, 0) if is_short else (number,)))
    return content + bytes(4) + data


def _layout(compression: int, bits: int = 8, samples: int = 1, **more: tuple[int, int, int | str]) -> list[Tag]:
    photometric = 2 if samples == 3 else 1
    tags: list[Tag] = [(258, SHORT, 1, bits), (259, SHORT, 1, compression), (262, SHORT, 1, photometric)]
    tags += [(277, SHORT, 1, samples)]
    return tags + [(int(name[1:]), *value) for name, value in more.items()]


def _deflated(total: int) -> bytes:
    compressor = zlib.compressobj(9)
    blocks = [compressor.compress(bytes(1 << 20)) for _ in range(total >> 20)]
    return b"".join([*blocks, compressor.compress(bytes(total & 0xFFFFF)), compressor.flush()])


def strip(side: int, compression: int, data: Callable[[], bytes], **options: int) -> bytes:
    """A picture in one strip."""
    place: dict[str, tuple[int, int, int | str]] = {"t273": (LONG, 1, "DATA"), "t279": (LONG, 1, "LENGTH")}
    place["t278"] = (LONG, 1, side)
    orientation = options.pop("orientation", 0)
    if orientation:
        place["t274"] = (SHORT, 1, orientation)
    return tiff(side, side, _layout(compression, **options, **place), data())


def tile(side: int, tile_side: int, compression: int, data: Callable[[], bytes] = lambda: bytes(1000)) -> bytes:
    """A picture in one tile."""
    place: dict[str, tuple[int, int, int | str]] = {"t324": (LONG, 1, "DATA"), "t325": (LONG, 1, "LENGTH")}
    place |= {"t322": (LONG, 1, tile_side), "t323": (LONG, 1, tile_side)}
    return tiff(side, side, _layout(compression, **place), data())


def _many_strips(count: int, length: int, data: bytes) -> bytes:
    """Strips that all lie at one place."""
    rows = _layout(LZW, t273=(LONG, count, "DATA"), t278=(LONG, 1, 1))
    place = 8 + 2 + 12 * (len(rows) + 3) + 4
    arrays = struct.pack("<I", place + 8 * count) * count + struct.pack("<I", length) * count
    return tiff(64, count, [*rows, (279, LONG, count, place + 4 * count)], arrays + data)


def _many_tags(count: int, each: int, kind: int = UNDEFINED) -> bytes:
    tags: list[Tag] = [(40_000 + number, kind, each, "DATA") for number in range(count)]
    return tiff(64, 64, [*_layout(RAW, t273=(LONG, 1, "DATA")), *tags], bytes(2**24))


def _subdirectory(tag: int) -> bytes:
    inner = struct.pack("<HHHIII", 1, 40_000, SHORT, 2**24, 8, 0)
    return tiff(64, 64, [*_layout(RAW, t273=(LONG, 1, "DATA")), (tag, LONG, 1, "DATA")], inner + bytes(2**25))


def _all() -> Iterator[tuple[str, Callable[[], bytes]]]:
    pixels = partial(_deflated, SIDE * SIDE)
    for name, compression in {"raw": RAW, "LZW": LZW, "deflate": DEFLATE, "PackBits": PACKBITS, "JPEG": JPEG}.items():
        yield f"TIFF of 16x16 in a {name} tile of 40,000x40,000", partial(tile, 16, 40_000, compression)
    for name, compression in {"fax": FAX4, "LZMA": LZMA, "Zstandard": ZSTD}.items():
        bits = 1 if compression == FAX4 else 8
        yield f"{name} TIFF of 1.6 gigapixels", partial(strip, 40_000, compression, lambda: bytes(1000), bits=bits)
        yield f"{name} TIFF of the most pixels", partial(strip, SIDE, compression, lambda: bytes(1000), bits=bits)
    yield "TIFF of 16x16 in a tile of 12,000x12,000", partial(tile, 16, 12_000, DEFLATE, partial(_deflated, 12_000**2))
    yield "TIFF in one strip of all pixels", partial(strip, SIDE, DEFLATE, pixels)
    yield "TIFF to be turned", partial(strip, SIDE, DEFLATE, pixels, orientation=6)
    yield "TIFF of 16 bits", partial(strip, 8192, DEFLATE, partial(_deflated, 2 * 8192**2), bits=16)
    yield "raw TIFF of 64 megapixels", partial(strip, 8192, RAW, partial(bytes, 8192**2))
    yield "raw TIFF to be turned", partial(strip, 8192, RAW, partial(bytes, 8192**2), orientation=8)
    yield "TIFF of 60,000 strips at one place", partial(_many_strips, 60_000, 2**24, b"\x80\0" * 2**23)
    yield "TIFF of 3,000 tags at one place", partial(_many_tags, 3_000, 2**24)
    yield "TIFF of 25,000 tags", partial(_many_tags, 25_000, 2**23)
    yield "TIFF of 16 million numbers", partial(_many_tags, 1, 2**23, SHORT)
    yield "TIFF that counts 4 billion strips", lambda: tiff(64, 64, _layout(RAW, t273=(LONG, 2**32 - 1, 8)))
    yield "TIFF of 8 million strips", lambda: tiff(64, 64, _layout(RAW, t273=(LONG, 2**23, 8)), bytes(2**25))
    for tag in (34665, 34853, 40965):
        yield f"TIFF whose directory {tag} is huge", partial(_subdirectory, tag)


TIFFS: dict[str, Callable[[], bytes]] = dict(_all())
