"""AVIF and related formats (ISO/IEC 14496-12, 23008-12): read the sizes in the container and in its AV1 streams."""

from collections.abc import Iterator
from typing import NamedTuple

from runtime.errors import ImageDecodeError
from runtime.image.header.av1 import largest_frame
from runtime.image.header.base import MAX_METADATA, Header, Reader, damaged
from runtime.text import plural

_MAX_BOXES = 10_000
_MAX_STREAM = 2**26
_MAX_SAFE_ITEMS = 4  # a picture, its alpha, and a preview of each
_AV1 = b"av01"
_FIRST_UNITS = b"\x12\0\x0a"  # a temporal delimiter, and a sequence header of less than 128 bytes
_TRACK_OFFSETS = ((b"stco", 4), (b"co64", 8))


class _Bytes:
    """A reader of successive big-endian numbers of a box."""

    def __init__(self, content: bytes, position: int = 0) -> None:
        self.content, self.position = content, position

    def take(self, count: int) -> int:
        end = self.position + count
        if end > len(self.content):
            raise damaged("a box cut off")
        number = int.from_bytes(self.content[self.position : end])
        self.position = end
        return number


class _Item(NamedTuple):
    """Location of an item's bytes as (offset, length) pairs: in the file, or in the ``idat`` box."""

    extents: tuple[tuple[int, int], ...]
    is_in_idat: bool


def read(reader: Reader) -> Header:
    """Read the boxes and the AV1 sequence headers of all items.

    Raises:
        ImageDecodeError: cut off, without a picture, or a stream's size is far above the container's.
    """
    boxes = {name: (start, length) for name, start, length in _top_boxes(reader)}
    sizes, streams, most = [], list[bytes](), 12
    if b"meta" in boxes:
        start, length = boxes[b"meta"]
        if length > MAX_METADATA:
            raise ImageDecodeError(f"more than {MAX_METADATA:,} bytes of metadata in an AVIF: save it again")
        meta = reader.bytes(start, length)
        properties = [*_find(meta[4:], b"iprp", b"ipco")]
        sizes = [_size(content) for name, content in properties if name == b"ispe" and len(content) >= 12]
        most = 12 if all(content[2:3] < b"\x40" for name, content in properties if name == b"av1C") else 16
        streams = list(_streams(reader, meta[4:]))
    if b"moov" in boxes:
        streams += _first_samples(reader, *boxes[b"moov"])
    frames = [largest_frame(stream) for stream in streams]
    coded = [(frame.width, frame.height) for frame in frames]
    width, height = _largest(sizes or coded)
    for across, down in coded:
        if across > 2 * width + 64 or down > 2 * height + 64:
            raise damaged(f"an AVIF that declares {width}x{height} pixels and contains {across}x{down}")
    width, height = _largest([(width, height), *coded])
    is_bounded = b"moov" not in boxes and 0 < len(frames) <= _MAX_SAFE_ITEMS and all(f.is_bounded for f in frames)
    # The memory per pixel covers the planes of the decoder, of the picture and of RGB, and the image.
    return Header("AVIF", width, height, most, fixed_bytes=3 * reader.size, is_bounded=is_bounded)


def _largest(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _size(content: bytes) -> tuple[int, int]:
    return int.from_bytes(content[4:8]), int.from_bytes(content[8:12])


def _top_boxes(reader: Reader) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of the content of each top-level box."""
    position = 0
    for _ in range(_MAX_BOXES):
        if position + 8 > reader.size:
            return
        length, name, head = reader.number(position, 4, "big"), reader.bytes(position + 4, 4), 8
        if length == 1:
            length, head = reader.number(position + 8, 8, "big"), 16
        length = length or reader.size - position
        if length < head:
            raise damaged(f"a box of {plural(length, 'byte')}")
        yield name, position + head, min(length - head, reader.size - position - head)
        position += length


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    for _ in range(_MAX_BOXES):
        if position + 8 > len(content):
            return
        length, name = int.from_bytes(content[position : position + 4]), content[position + 4 : position + 8]
        if length < 8:  # 64-bit lengths (1) and "to the end" (0) are not accepted here
            raise damaged(f"a box of {plural(length, 'byte')}")
        yield name, content[position + 8 : position + length]
        position += length


def _find(content: bytes, *path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes (name, content) inside the nested boxes of this path."""
    if not path:
        yield from _boxes(content)
        return
    for name, inner in _boxes(content):
        if name == path[0]:
            yield from _find(inner, *path[1:])


def _streams(reader: Reader, meta: bytes) -> Iterator[bytes]:
    """Yield the bytes of every AV1 item."""
    boxes = dict(_boxes(meta))
    wanted = set(_av1_items(boxes.get(b"iinf", b"")))
    for number, item in _locations(boxes.get(b"iloc", b"")):
        if number in wanted:
            wanted.discard(number)
            yield b"".join(_extents(reader, item, boxes.get(b"idat", b"")))


def _extents(reader: Reader, item: _Item, idat: bytes) -> Iterator[bytes]:
    for start, length in item.extents:
        if length > _MAX_STREAM:
            raise ImageDecodeError(
                f"an AVIF with a picture of {length:,} bytes, at most {_MAX_STREAM:,}: save it again"
            )
        content = idat[start : start + length] if item.is_in_idat else reader.some(start, length or reader.size)
        yield content


def _av1_items(iinf: bytes) -> Iterator[int]:
    entries = iinf[6:] if iinf[:1] == b"\0" else iinf[8:]
    for name, content in _boxes(entries):
        if name == b"infe" and content[:1] >= b"\2":
            fields = _Bytes(content, 4)
            number = fields.take(2 if content[:1] == b"\2" else 4)
            if content[fields.position + 2 : fields.position + 6] == _AV1:
                yield number


def _locations(iloc: bytes) -> Iterator[tuple[int, _Item]]:
    if not iloc:
        return
    version, fields = iloc[0], _Bytes(iloc, 4)
    sizes = fields.take(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version in {1, 2} else 0
    for _ in range(fields.take(2 if version < 2 else 4)):
        number = fields.take(2 if version < 2 else 4)
        method = fields.take(2) & 15 if version in {1, 2} else 0
        fields.take(2)
        base, extents = fields.take(base_bytes), []
        for _ in range(fields.take(2)):
            fields.take(index_bytes)
            extents.append((base + fields.take(offset_bytes), fields.take(length_bytes)))
        yield number, _Item(tuple(extents), is_in_idat=method == 1)


def _first_samples(reader: Reader, start: int, length: int) -> Iterator[bytes]:
    """Yield the sequence header of each track, from the bytes at the track's first chunk offset."""
    moov = reader.bytes(start, min(length, MAX_METADATA))
    for name, width in _TRACK_OFFSETS:
        at = moov.find(name)
        while at >= 0:
            if int.from_bytes(moov[at + 8 : at + 12]):
                sample = reader.some(int.from_bytes(moov[at + 12 : at + 12 + width]), 256)
                if sample.startswith(_FIRST_UNITS):
                    yield sample[2 : 4 + sample[3]]
            at = moov.find(name, at + 4)
