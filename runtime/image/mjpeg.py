"""JPEG frames out of a stream in which they stand one after the other, with anything between them.

Markers as in ITU-T T.81, annex B: segments are stepped over by their lengths, so a thumbnail inside a header is not
taken for a frame; the entropy-coded data after a scan's header is searched for the next marker. A frame cut off in its
header can, rarely, take the next one with it; one cut off later costs itself alone.
"""

import re
from collections.abc import Iterable, Iterator

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""A frame that does not end within this is broken."""

_START = b"\xff\xd8\xff"
_IMAGE_START, _IMAGE_END, _SCAN, _FILL = 0xD8, 0xD9, 0xDA, 0xFF
_MAY_HOLD_IMAGES = {*range(0xE1, 0xF0), 0xFE}
"""Application segments from Exif on, and comments; in others a start means that the frame was cut off there."""
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Inside a scan 0xff is followed by 0 (stuffing) or a restart marker."""


def split(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield each whole frame, and ``None`` for each one that is damaged or cut off."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        yield from _drain(data, at_end=False)
    yield from _drain(data, at_end=True)


def _drain(data: bytearray, *, at_end: bool) -> Iterator[bytes | None]:
    while (start := data.find(_START)) >= 0:
        del data[:start]
        position, state = _walk(data)
        if state == "more" and not at_end and len(data) <= MAX_FRAME_BYTES:
            return
        if state == "whole":
            yield bytes(memoryview(data)[:position])
            del data[:position]
        else:
            yield None
            del data[: max(position, 2)]  # from the segment that does not fit: a next frame may begin in it
    del data[:-2]  # a start may have begun in the last two bytes


def _walk(data: bytearray) -> tuple[int, str]:
    """Where the frame at the beginning ends and ``whole``; or the last sound marker and ``more`` or ``broken``."""
    position = last = 2
    while len(data) >= position + 2:
        code = data[position + 1]
        if data[position] != _FILL or code in (0, _IMAGE_START):
            return position if code == _IMAGE_START else last, "broken"
        if code == _IMAGE_END:
            return position + 2, "whole"
        if code == _FILL:
            position += 1
            continue
        if len(data) < position + 4:
            break
        last = position
        length = int.from_bytes(data[position + 2 : position + 4])
        if length < 2:
            return last, "broken"
        position += 2 + length
        inside = -1 if code in _MAY_HOLD_IMAGES else data.find(_START, last, position)
        if inside >= 0:
            return inside, "broken"
        if code == _SCAN:
            marker = _AFTER_SCAN.search(data, position)
            if marker is None:
                break
            position = marker.start()
    return last, "more"
