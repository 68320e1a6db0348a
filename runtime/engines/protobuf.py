"""Read the protobuf wire format without a library: the fields of a message and their positions.

The reader accepts everything that the engines' C++ parser accepts (overlong varints, unknown fields, groups), so that
an engine cannot see content that this reader does not see. Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
MAX_FIELDS = 200_000
"""Most fields of one message; a network of a thousand layers has about ten thousand in all."""

_SIZES = {FIXED64: 8, FIXED32: 4, START_GROUP: 0, END_GROUP: 0}
_MAX_TAG_BYTES = _MAX_LENGTH_BYTES = 5
_MAX_VARINT_BYTES = 10


def fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of the message in ``content[start:end]``; groups are skipped.

    Yields:
        Field number, wire type, start and end (exclusive) of the value; for a varint its value and 0.

    Raises:
        ValueError: not a protobuf message, or more than ``MAX_FIELDS`` fields.
    """
    depth, place, read = 0, start, 0
    while place < end:
        tag, place = _varint(content, place, end, _MAX_TAG_BYTES)
        number, wire = (tag & 0xFFFFFFFF) >> 3, tag & 7
        first, last, place = _value(content, place, end, wire)
        depth += (wire == START_GROUP) - (wire == END_GROUP)
        read += 1
        if number == 0 or depth < 0:
            raise ValueError(f"an invalid field before byte {place}")
        if read > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS:,} fields")
        if depth == 0 and wire != END_GROUP:
            yield number, wire, first, last
    if depth:
        raise ValueError("a group without an end")


def _value(content: bytes, place: int, end: int, wire: int) -> tuple[int, int, int]:
    """Return start and end of a value (of a varint: its value and 0), and the position after it."""
    if wire == VARINT:
        number, place = _varint(content, place, end, _MAX_VARINT_BYTES)
        return number, 0, place
    if wire == BYTES:
        size, place = _varint(content, place, end, _MAX_LENGTH_BYTES)
    elif wire in _SIZES:
        size = _SIZES[wire]
    else:
        raise ValueError(f"wire type {wire} at byte {place}")
    if place + size > end:
        raise ValueError(f"a field that ends beyond its message at byte {place}")
    return place, place + size, place + size


def _varint(content: bytes, place: int, end: int, most: int) -> tuple[int, int]:
    """Read the varint at ``place``; return it and the position after it."""
    if place < end and content[place] < 0x80:
        return content[place], place + 1
    number = 0
    for shift, index in enumerate(range(place, min(place + most, end))):
        byte = content[index]
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, index + 1
    raise ValueError(f"a varint without an end at byte {place}")
