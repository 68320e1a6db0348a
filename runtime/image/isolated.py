"""Decode images in child processes, which can be ended: for services that get pictures of strangers.

Small images of formats whose headers tell all are decoded in this process, as always; a child would cost them more than
decoding. The others go to a child: it may take so much memory as the header says and no more, is killed when it takes
too long, and is the first to go when the machine runs out of memory. Children are kept for the next image.
"""

import os
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.image.load import ImageSource, Pixels, load_square
from runtime.spec import ModelSpec

if TYPE_CHECKING:
    from runtime.image.decoding_child import DecodingChild

DEADLINE_S = 30.0
"""Seconds for one image, from asking to the answer."""


class IsolatedDecoder:
    """In the place of ``load_square``: ``Classifier(path, decoder=IsolatedDecoder())``. For several threads at once.

    Args:
        stop_fd: a descriptor that is readable once the process is to stop: decoding then ends within a second, with a
            ``DecodingStoppedError``.
        deadline_s: seconds for one image; one that takes longer is an ``ImageDecodeError``.
    """

    def __init__(self, stop_fd: int | None = None, deadline_s: float = DEADLINE_S) -> None:
        self._stop_fd, self._deadline_s = stop_fd, deadline_s
        self._lock = threading.Lock()
        self._idle: list[DecodingChild] = []
        self._busy: set[DecodingChild] = set()
        self._interruptions = 0

    def __call__(self, image: ImageSource, spec: ModelSpec) -> Pixels:
        """As ``load_square``.

        Raises:
            ImageError: as ``load_square``; also an image that takes too long or kills its decoder.
            DecodingStoppedError: the process is to stop.
        """
        if os.name != "posix":  # Windows can wait for sockets alone
            return load_square(image, spec)
        return load_square(image, spec, partial(self._apart, self._interruptions))

    def interrupt(self) -> None:
        """End what is being decoded, with a ``DecodingStoppedError`` in the threads that wait for it."""
        with self._lock:
            self._interruptions += 1
            for busy in self._busy:
                busy.stop()

    def close(self) -> None:
        """End all children; new ones are started when they are needed."""
        self.interrupt()
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.kill()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (None, self._deadline_s)

    def _apart(self, interruptions: int, source: bytes | os.PathLike[str] | str, spec: ModelSpec) -> Pixels:
        child = self._take()
        if interruptions != self._interruptions:  # between asking for the image and having a child for it
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
        from runtime.image.decoding_child import DecodingChild  # many never need it

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
