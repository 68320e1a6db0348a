"""``Inbox``: the queue between the thread that reads frames and the thread that classifies them."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from runtime.camera.source import Source
from runtime.image.mjpeg import split

QUEUE = 2
"""Length of the queue; a longer queue would only make predictions older."""


class Frame(NamedTuple):
    """A received frame: its number from 1, its time in seconds since the start, its bytes (JPEG)."""

    number: int
    time_s: float
    content: bytes


class Inbox:
    """A queue of frames. If frames arrive too fast, the oldest are dropped, or the sender must wait.

    Args:
        every_frame: let the sender wait instead of dropping frames.
        tick_s: iterating yields ``None`` if no frame arrives for this many seconds; ``None``: it waits for a frame.

    Attributes:
        seen, broken, dropped: numbers of frames.
        received: number of bytes.
        beginning: the first bytes of the stream, up to 17.
        error: why reading ended; ``None``: the stream ended.
    """

    def __init__(self, *, every_frame: bool, tick_s: float | None = None) -> None:
        self.seen = self.broken = self.dropped = self.received = 0
        self.beginning = b""
        self.error: OSError | None = None
        self._every_frame, self._tick_s = every_frame, tick_s
        self._frames: deque[Frame] = deque()
        self._ended = False
        self._changed = threading.Condition()

    def start(self, source: Source, start_s: float) -> None:
        """Run ``read`` in a thread; a daemon thread, because it may wait for room in the queue forever."""
        threading.Thread(target=self.read, args=(source, start_s), daemon=True).start()

    def read(self, source: Source, start_s: float) -> None:
        """Put frames into the queue until the source ends; times are relative to ``start_s``."""
        try:
            for chunks in source.connections():
                for content in split(self._counted(chunks)):
                    self._put(content, time.monotonic() - start_s)
        except InterruptedError:
            pass
        except OSError as error:
            self.error = error
        finally:
            self.end()  # or the iterating thread would wait forever

    def end(self) -> None:
        """Mark the end of the frames."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.beginning = self.beginning or chunk[:17]
            self.received += len(chunk)
            yield chunk

    def _put(self, content: bytes | None, time_s: float) -> None:
        with self._changed:
            self.seen += 1
            if content is None:
                self.broken += 1
                return
            if self._every_frame:
                self._changed.wait_for(lambda: len(self._frames) < QUEUE or self._ended)
            elif len(self._frames) == QUEUE:
                self._frames.popleft()
                self.dropped += 1
            self._frames.append(Frame(self.seen, time_s, content))
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Frame | None]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frames or self._ended, self._tick_s)
                if self._ended and not self._frames:
                    return
                frame = self._frames.popleft() if self._frames else None
                self._changed.notify_all()
            yield frame
