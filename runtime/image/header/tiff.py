"""TIFF 6.0 and BigTIFF: read the first directory and the declared sizes of its strips or tiles."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from runtime.errors import ImageDecodeError
from runtime.image.header.base import MAX_METADATA, Header, Order, Reader, damaged

_MAX_ENTRIES = 4096
_MAX_PARTS = 2**20
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES, _ROWS = 256, 257, 258, 259, 274, 277, 278
_TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT, _XMP = 322, 323, 339, 700
_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES = 273, 279, 324, 325
_DESCRIBING = (_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ROWS, _SAMPLE_FORMAT)
_SUBDIRECTORIES = (34665, 34853, 40965)
_RAW = 1
_SAFE = {_RAW, 2, 3, 4, 5, 8, 32773, 32946}
"""Compressions that are decoded in memory of a known size: none, fax, LZW, deflate, PackBits."""
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8"}
_OBJECT_BYTES = 40
"""Bytes that Pillow takes for each number of an array."""
_PART_BYTES = 400
"""Bytes that Pillow takes for each strip or tile that it decodes itself."""
_TURNED = re.compile(rb'tiff:Orientation(="|>)[2-8]')


class _Entry(NamedTuple):
    """An entry of a directory: type and number of its values, and the position of their bytes."""

    type: int
    values: int
    position: int

    @property
    def bytes(self) -> int:
        return _TYPE_BYTES.get(self.type, 0) * self.values


class _Layout(NamedTuple):
    """The variant of the file: byte order, sizes of counts and offsets, position of the first directory."""

    order: Order
    count_bytes: int
    word_bytes: int
    first: int

    @classmethod
    def of(cls, reader: Reader) -> "_Layout":
        order: Order = "little" if reader.head[:2] == b"II" else "big"
        if reader.number(2, 2, order) == 43:
            return cls(order, 8, 8, reader.number(8, 8, order))
        return cls(order, 2, 4, reader.number(4, 4, order))


def read(reader: Reader) -> Header:
    """Read the first directory.

    Raises:
        ImageDecodeError: cut off, without a size, or strips, tiles or tags declare far more bytes than the file has.
    """
    layout = _Layout.of(reader)
    directory = dict(_entries(reader, layout, layout.first))
    values = {tag: _first(reader, layout, directory.get(tag)) for tag in _DESCRIBING}
    width, height = values[_WIDTH], values[_HEIGHT]
    bits, samples = values[_BITS] or 1, values[_SAMPLES] or 1
    compression = _first(reader, layout, directory.get(_COMPRESSION)) or _RAW
    if not width or not height:
        raise damaged("a TIFF without a size")
    pixel_bytes = 4
    if samples == 1 and values[_SAMPLE_FORMAT] <= 1:  # unsigned
        pixel_bytes = 1 if bits <= 8 else 2 if bits <= 16 else 4
    fixed = _tag_bytes(reader, layout, directory) + _part_bytes(reader, layout, directory, compression)
    tile_width = _first(reader, layout, directory.get(_TILE_WIDTH))
    across, down = width, min(values[_ROWS] or height, height)
    if tile_width:
        across, down = tile_width, _first(reader, layout, directory.get(_TILE_HEIGHT))
    if compression != _RAW or tile_width:
        fixed += across * down * max(4 if samples >= 3 else 1, samples * -(-bits // 8))  # one strip or tile
        fixed += reader.size  # libtiff maps the file
    if _is_turned(reader, layout, directory):
        pixel_bytes *= 2  # Pillow makes a turned copy of the whole image
    return Header("TIFF", width, height, pixel_bytes, fixed, is_bounded=compression in _SAFE)


def _entries(reader: Reader, layout: _Layout, start: int) -> Iterator[tuple[int, _Entry]]:
    count = reader.number(start, layout.count_bytes, layout.order)
    if count > _MAX_ENTRIES:
        raise damaged(f"a TIFF directory of {count:,} entries")
    length = 4 + 2 * layout.word_bytes
    table = reader.bytes(start + layout.count_bytes, count * length)

    def number(at: int, size: int) -> int:
        return int.from_bytes(table[at : at + size], layout.order)

    for at in range(0, len(table), length):
        kind, values = number(at + 2, 2), number(at + 4, layout.word_bytes)
        place = at + 4 + layout.word_bytes
        is_inside = _TYPE_BYTES.get(kind, 0) * values <= layout.word_bytes
        position = start + layout.count_bytes + place if is_inside else number(place, layout.word_bytes)
        yield number(at, 2), _Entry(kind, values, position)


def _first(reader: Reader, layout: _Layout, entry: _Entry | None) -> int:
    """Return the first value of an entry; 0 if there is none."""
    if entry is None or entry.type not in _NUMBERS or not entry.values:
        return 0
    return reader.number(entry.position, _TYPE_BYTES[entry.type], layout.order)


def _tag_bytes(reader: Reader, layout: _Layout, directory: dict[int, _Entry]) -> int:
    """Count the bytes that Pillow takes for the tags (kept and copied) and for the subdirectories they point to."""
    total = 2 * sum(min(entry.bytes, reader.size) for entry in directory.values())
    for tag in _SUBDIRECTORIES:
        start = _first(reader, layout, directory.get(tag))
        if start:
            entries = _entries(reader, layout, start) if start < reader.size else iter(())
            total += sum(_OBJECT_BYTES * min(entry.bytes, reader.size) for _, entry in entries)
    if total > 8 * MAX_METADATA:
        raise ImageDecodeError(f"tags of a TIFF that take {total >> 20} MiB: save it again")
    return total


def _part_bytes(reader: Reader, layout: _Layout, directory: dict[int, _Entry], compression: int) -> int:
    """Count the bytes that Pillow takes for the list of strips or tiles.

    Raises:
        ImageDecodeError: there are too many, or they declare far more bytes than the file has.
    """
    offsets = directory.get(_STRIP_OFFSETS) or directory.get(_TILE_OFFSETS)
    if offsets and offsets.values > _MAX_PARTS:
        raise ImageDecodeError(f"a TIFF of {offsets.values:,} strips or tiles, at most {_MAX_PARTS:,}: save it again")
    lengths = directory.get(_STRIP_BYTES) or directory.get(_TILE_BYTES)
    if lengths and lengths.values <= _MAX_PARTS and lengths.type in _NUMBERS:
        content = reader.bytes(lengths.position, lengths.bytes)
        numbers = np.frombuffer(content, ("<" if layout.order == "little" else ">") + _NUMBERS[lengths.type])
        claimed = int(numbers.sum(dtype=np.float64))
        if claimed > 2 * reader.size + 2**20:
            raise damaged(f"strips or tiles of {claimed:,} bytes in a TIFF of {reader.size:,}")
    parts = offsets.values if offsets else 0
    return parts * (2 * _OBJECT_BYTES + (_PART_BYTES if compression == _RAW else 0))


def _is_turned(reader: Reader, layout: _Layout, directory: dict[int, _Entry]) -> bool:
    if _ORIENTATION in directory:
        return _first(reader, layout, directory[_ORIENTATION]) != 1
    xmp = directory.get(_XMP)
    return bool(xmp and _TURNED.search(reader.some(xmp.position, min(xmp.bytes, MAX_METADATA))))
