"""Split a stream into JPEG frames; other data between the frames is ignored.

Markers are those of ITU-T T.81, annex B. Segments are skipped by their lengths, so a thumbnail inside a header is not
taken for a frame; the entropy-coded data after a scan's header is searched for the next marker. A frame that is cut off
in its header can, rarely, spoil the next frame too; a frame that is cut off later is lost alone.

Parsing takes linear time for any division into chunks: the state of an unfinished frame is kept until more data
arrive.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""A longer frame counts as broken; a camera's frame of 64 megapixels has about 20 million bytes."""
MAX_SEGMENTS = 4096
"""A frame of more segments counts as broken. A color profile or depth map takes up to some hundred of 64 KiB each."""
MAX_FILL_BYTES = 4096
"""More bytes 0xff in a row before a marker mean a faulty line, not a frame."""

_IMAGE_START, _IMAGE_END, _SCAN = 0xD8, 0xD9, 0xDA
_START = re.compile(rb"\xff\xd8(?=\xff+[\xc0-\xcf\xda-\xef\xfe])")
"""A frame's first marker, followed by the marker of a segment, so that noise is seldom taken for a frame."""
_MAYBE_START = re.compile(rb"\xff(?:\xd8\xff*)?\Z")
"""The end of the data that may begin a frame; more bytes are needed to decide."""
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""The marker that ends a scan; inside a scan 0xff is followed by 0 (stuffing) or is a restart marker."""
_MAY_HOLD_IMAGES = {*range(0xE1, 0xF0), 0xFE}
"""Segments APP1 to APP15, and comments; a frame start inside another segment means that the frame was cut off."""

State = Literal["more", "whole", "broken"]


def split(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield the bytes of each complete frame, and ``None`` for each frame that is damaged or cut off."""
    data, frame = bytearray(), None
    for chunk in chunks:
        data += chunk
        while True:
            frame = frame or _Frame.find(data)
            if frame is None or (state := frame.advance()) == "more":
                break
            yield frame.end(state)
            frame = None
    while frame := frame or _Frame.find(data):
        yield frame.end(frame.advance(at_end=True))
        frame = None


class _Frame:
    """State of parsing a frame that begins at the first byte of the buffered data.

    Attributes:
        _position: where the next marker is expected.
        _last: position of the last valid marker, where the next frame may begin if this one is broken.
        _end: end of the current segment.
        _searched: up to where the current segment or scan has been searched.
    """

    def __init__(self, data: bytearray) -> None:
        self._data, self._step = data, self._marker
        self._position = self._last = 2
        self._segments = self._fill = self._code = self._end = self._searched = 0
        self._has_scan = False

    @classmethod
    def find(cls, data: bytearray) -> "_Frame | None":
        """Find the first frame, and delete the data before it."""
        start = _START.search(data)
        begun = start or _MAYBE_START.search(data, max(0, len(data) - MAX_FILL_BYTES))
        del data[: begun.start() if begun else len(data)]
        return cls(data) if start else None

    def advance(self, *, at_end: bool = False) -> State:
        """Parse the data received so far."""
        state: State | None = None
        while state is None:
            state = self._step()
        return "broken" if state == "more" and (at_end or len(self._data) > MAX_FRAME_BYTES) else state

    def end(self, state: State) -> bytes | None:
        """Remove the frame from the data, and return it if it is whole.

        A broken frame is removed only up to the position at which another frame may begin.
        """
        frame = bytes(memoryview(self._data)[: self._position]) if state == "whole" else None
        del self._data[: self._last if frame is None else self._position]
        return frame

    def _marker(self) -> State | None:
        marker = _MARKER.match(self._data, self._position)
        if marker is None:
            waiting = len(self._data) - self._position
            if waiting and self._data[self._position] != 0xFF:
                return "broken"
            self._fill += max(0, waiting - 1)
            self._position += max(0, waiting - 1)  # one of the fill bytes is the marker's own
            return "broken" if self._fill > MAX_FILL_BYTES else "more"
        at, self._code = marker.end() - 2, marker[1][0]
        if self._code in {0, _IMAGE_START}:
            self._last = at if self._code else self._last
            return "broken"
        if self._code == _IMAGE_END:
            self._position = self._last = marker.end()
            return "whole" if self._has_scan else "broken"
        if len(self._data) < marker.end() + 2:
            return "more"
        length = int.from_bytes(self._data[marker.end() : marker.end() + 2])
        self._last, self._searched, self._end = at, marker.end(), marker.end() + length
        self._segments += 1
        self._step = self._segment
        return "broken" if length < 2 or self._segments > MAX_SEGMENTS else None

    def _segment(self) -> State | None:
        if self._code not in _MAY_HOLD_IMAGES:
            start = _START.search(self._data, self._searched, self._end + 2)
            if start and start.start() < self._end:
                self._last = start.start()
                return "broken"
            self._searched = max(self._searched, len(self._data) - 3)
        if len(self._data) < self._end:
            return "more"
        self._position = self._searched = self._end
        self._step = self._scan if self._code == _SCAN else self._marker
        return None

    def _scan(self) -> State | None:
        self._has_scan = True
        marker = _AFTER_SCAN.search(self._data, self._searched)
        if marker is None:
            self._searched = max(self._searched, len(self._data) - 1)
            return "more"
        self._position, self._step = marker.start(), self._marker
        return None
