"""Decode untrusted images in child processes, with limits on memory and time.

Small images whose header bounds the memory are decoded in this process, because a child would cost more than the
decoding. Other images go to a child process. Its memory is limited to the estimate from the header, it is killed after
a time limit, and it is the first process that Linux kills if memory runs out. Children are reused.
"""

import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.image.load import ImageSource, Pixels, load_pixels
from runtime.spec import ModelSpec

if TYPE_CHECKING:
    from runtime.image.decoding_child import DecodingChild

DEADLINE_S = 30.0
"""Time limit per image in seconds, from request to answer."""


class IsolatedDecoder:
    """A decoder in place of ``load_pixels``: ``Classifier(path, decoder=IsolatedDecoder())``. Thread-safe.

    Args:
        stop_fd: file descriptor that becomes readable when the process should stop; decoding then ends within a second
            with a ``DecodingStoppedError``.
        deadline_s: time limit per image in seconds; a slower image raises ``ImageDecodeError``.
    """

    def __init__(self, stop_fd: int | None = None, deadline_s: float = DEADLINE_S) -> None:
        self._stop_fd, self._deadline_s = stop_fd, deadline_s
        self._lock = threading.Lock()
        self._idle: list[DecodingChild] = []
        self._busy: set[DecodingChild] = set()
        self._interruptions = 0

    def __call__(self, image: ImageSource, spec: ModelSpec) -> Pixels:
        """Decode as ``load_pixels``.

        Raises:
            ImageError: as for ``load_pixels``; also if decoding takes too long or the child process dies.
            DecodingStoppedError: the process was asked to stop.
        """
        if os.name != "posix":  # on Windows, select works only for sockets
            return load_pixels(image, spec)
        return load_pixels(image, spec, partial(self._decode_in_child, self._interruptions))

    def interrupt(self) -> None:
        """Abort all running decodings; the waiting threads get a ``DecodingStoppedError``."""
        with self._lock:
            self._interruptions += 1
            for busy in self._busy:
                busy.stop()

    def close(self) -> None:
        """Kill all child processes; new ones are started when needed."""
        self.interrupt()
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.kill()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (None, self._deadline_s)

    def _decode_in_child(self, interruptions: int, source: bytes | os.PathLike[str] | str, spec: ModelSpec) -> Pixels:
        child = self._take()
        if interruptions != self._interruptions:  # interrupted between the request and the start of a child
            child.stop()
        try:
            return child.decode(source, spec, self._stop_fd)
        finally:
            with self._lock:
                self._busy.discard(child)
                if child.is_usable:
                    self._idle.append(child)
                else:
                    child.kill()

    def _take(self) -> "DecodingChild":
        from runtime.image.decoding_child import DecodingChild  # rarely needed

        with self._lock:
            while self._idle:
                child = self._idle.pop()
                if child.is_usable:
                    break
                child.kill()
            else:
                child = DecodingChild(self._deadline_s)
            self._busy.add(child)
        return child
