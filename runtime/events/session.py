"""Frames go in; answers and events go out to listeners."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.events.detector import Event, EventDetector
from runtime.events.look import FrameClassifier
from runtime.image.load import ImageSource, Pixels
from runtime.prediction import Prediction


@dataclass(frozen=True)
class Seen:
    """A frame and its answer.

    Attributes:
        name: a file's name, or a frame's number.
        image: the frame as it came.
        prediction: its answer.
        is_repeated: the answer is that of a former frame, which showed the same.
        pixels: what was looked at, uint8 (H, W, 3).
    """

    name: str
    image: ImageSource
    prediction: Prediction
    is_repeated: bool
    pixels: Pixels | None = None


class Listener(Protocol):
    """Receives every frame and every event, in order and from one thread; must not block it."""

    def seen(self, seen: Seen) -> None:
        """A frame has its answer."""

    def happened(self, event: Event) -> None:
        """A class begins or ends."""

    def close(self) -> None:
        """No more comes."""


class Session:
    """What ``stream``, ``watch`` and ``serve`` do with each frame."""

    def __init__(self, classifier: FrameClassifier, detector: EventDetector, listeners: Sequence[Listener]) -> None:
        self._classifier, self._detector, self._listeners = classifier, detector, listeners

    def show(self, image: ImageSource, name: str) -> Seen:
        """Classify a frame; tell of it and of the events that it brings.

        Raises:
            ImageError: it cannot be read; no listener is called.
        """
        look = self._classifier.classify(image)
        seen = Seen(name, image, look.prediction, look.is_repeated, look.pixels)
        for listener in self._listeners:
            listener.seen(seen)
        self._tell(self._detector.update(look.prediction))
        return seen

    def idle(self) -> None:
        """No frame comes: what is on may end for that."""
        self._tell(self._detector.check())

    def close(self) -> None:
        """End what is on, and let the listeners go."""
        try:
            self._tell(self._detector.close())
        finally:
            for listener in self._listeners:
                listener.close()

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            for listener in self._listeners:
                listener.happened(event)
