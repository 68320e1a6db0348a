"""JPEG frames out of a stream in which they stand one after the other, with anything between them.

Markers as in ITU-T T.81, annex B: segments are stepped over by their lengths, so a thumbnail inside a header is not
taken for a frame; the entropy-coded data after a scan's header is searched for the next marker. A frame cut off in its
header can, rarely, take the next one with it; one cut off later costs itself alone.

Every byte is looked at a fixed number of times, however the stream is cut into chunks: what is known of an unfinished
frame is kept until more of it comes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal

MAX_FRAME_BYTES = 32 * 1024 * 1024
"""A frame that does not end within this is broken; a camera's frame of 64 megapixels has about 20 million bytes."""
MAX_SEGMENTS = 4096
"""A frame of more segments is broken. A color profile and a depth map take up to some hundred of 64 KiB each."""
MAX_FILL_BYTES = 4096
"""More 0xff in a row before a marker is a line that is stuck, and no frame."""

_IMAGE_START, _IMAGE_END, _SCAN = 0xD8, 0xD9, 0xDA
_START = re.compile(rb"\xff\xd8(?=\xff+[\xc0-\xcf\xda-\xef\xfe])")
"""A frame's first marker and the next one's code, which is that of a segment, so that noise is seldom taken for one."""
_MAYBE_START = re.compile(rb"\xff(?:\xd8\xff*)?\Z")
"""The beginning of a frame at the end of the data, of which too little has come to tell."""
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Inside a scan 0xff is followed by 0 (stuffing) or a restart marker."""
_MAY_HOLD_IMAGES = {*range(0xE1, 0xF0), 0xFE}
"""Application segments from Exif on, and comments; in others a start means that the frame was cut off there."""

State = Literal["more", "whole", "broken"]


def split(chunks: Iterable[bytes]) -> Iterator[bytes | None]:
    """Yield each whole frame, and ``None`` for each one that is damaged or cut off."""
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
    """A frame that begins at the first of the bytes that have come, as far as it has been walked through.

    Attributes:
        _position: where the next marker is expected.
        _last: where the next frame may begin, should this one prove to be broken: at the last marker that fits.
        _end: of the segment at hand.
        _searched: up to where the segment or the scan at hand has been searched.
    """

    def __init__(self, data: bytearray) -> None:
        self._data, self._step = data, self._marker
        self._position = self._last = 2
        self._segments = self._fill = self._code = self._end = self._searched = 0
        self._has_scan = False

    @classmethod
    def find(cls, data: bytearray) -> "_Frame | None":
        """The first frame of the data, which then begin with it; all that can be no beginning is deleted."""
        start = _START.search(data)
        begun = start or _MAYBE_START.search(data, max(0, len(data) - MAX_FILL_BYTES))
        del data[: begun.start() if begun else len(data)]
        return cls(data) if start else None

    def advance(self, *, at_end: bool = False) -> State:
        """Walk on through what has come."""
        state: State | None = None
        while state is None:
            state = self._step()
        return "broken" if state == "more" and (at_end or len(self._data) > MAX_FRAME_BYTES) else state

    def end(self, state: State) -> bytes | None:
        """Delete it from the data: a broken frame only as far as no other can begin in it; a whole one is returned."""
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
