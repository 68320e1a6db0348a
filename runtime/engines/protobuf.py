"""Read the wire format of protobuf without a library: the fields of a message, and where they lie.

As lenient as the C++ parser that the engines use (varints longer than need be, unknown fields, groups), so that nothing
is there for an engine which is not there for this reader. Source: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
MAX_FIELDS = 200_000
"""The most that one message may have; a network of a thousand layers has some ten thousand in all."""

_SIZES = {FIXED64: 8, FIXED32: 4, START_GROUP: 0, END_GROUP: 0}
_MAX_TAG_BYTES = _MAX_LENGTH_BYTES = 5
_MAX_VARINT_BYTES = 10


def fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field of the message in ``content[start:end]``; groups are skipped.

    Yields:
        Field number, wire type, and the value's first byte and the one behind its last; for a varint its value and 0.

    Raises:
        ValueError: not a protobuf message, or one of more than ``MAX_FIELDS``.
    """
    depth, place, read = 0, start, 0
    while place < end:
        tag, place = _varint(content, place, end, _MAX_TAG_BYTES)
        number, wire = (tag & 0xFFFFFFFF) >> 3, tag & 7
        first, last, place = _value(content, place, end, wire)
        depth += (wire == START_GROUP) - (wire == END_GROUP)
        read += 1
        if number == 0 or depth < 0:
            raise ValueError(f"no field that could stand at byte {place}")
        if read > MAX_FIELDS:
            raise ValueError(f"more than {MAX_FIELDS:,} fields")
        if depth == 0 and wire != END_GROUP:
            yield number, wire, first, last
    if depth:
        raise ValueError("a group without an end")


def _value(content: bytes, place: int, end: int, wire: int) -> tuple[int, int, int]:
    """What ``fields`` tells of a value, and the place behind it."""
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
        raise ValueError(f"a field that ends behind its message at byte {place}")
    return place, place + size, place + size


def _varint(content: bytes, place: int, end: int, most: int) -> tuple[int, int]:
    """The number at ``place`` and the place behind it."""
    if place < end and content[place] < 0x80:
        return content[place], place + 1
    number = 0
    for shift, index in enumerate(range(place, min(place + most, end))):
        byte = content[index]
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, index + 1
    raise ValueError(f"a number without an end at byte {place}")
