"""``Session``: classify frames, detect events, and pass both to listeners."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.events.detector import Event, EventDetector
from runtime.events.frame_classifier import FrameClassifier
from runtime.image.load import ImageSource, Pixels
from runtime.prediction import Prediction


@dataclass(frozen=True)
class ClassifiedFrame:
    """A frame and its prediction.

    Attributes:
        name: name of the file, or number of the frame.
        image: the frame as received.
        prediction: its prediction.
        is_repeated: the frame was not classified, because it has not changed; the prediction is an earlier frame's.
        pixels: the pixels as the model gets them, uint8 (H, W, 3).
    """

    name: str
    image: ImageSource
    prediction: Prediction
    is_repeated: bool
    pixels: Pixels | None = None


class Listener(Protocol):
    """A receiver of every frame and every event, in order and from one thread, which it must not block."""

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Handle a classified frame."""

    def on_event(self, event: Event) -> None:
        """Handle an event."""

    def close(self) -> None:
        """End the listener; called once."""


class Session:
    """A session passes frames through classifier, event detector and listeners: ``stream``, ``watch`` and ``serve``."""

    def __init__(self, classifier: FrameClassifier, detector: EventDetector, listeners: Sequence[Listener]) -> None:
        self._classifier, self._detector, self._listeners = classifier, detector, listeners

    def show(self, image: ImageSource, name: str) -> ClassifiedFrame:
        """Classify a frame, and pass it and the events that it causes to the listeners.

        Raises:
            ImageError: it cannot be read; no listener is called.
        """
        result = self._classifier.classify(image)
        frame = ClassifiedFrame(name, image, result.prediction, result.is_repeated, result.pixels)
        for listener in self._listeners:
            listener.on_frame(frame)
        self._tell(self._detector.update(result.prediction))
        return frame

    def idle(self) -> None:
        """Call this while no frame arrives: active events may end because of that."""
        self._tell(self._detector.check())

    def close(self) -> None:
        """End the active events, and close the listeners."""
        try:
            self._tell(self._detector.close())
        finally:
            for listener in self._listeners:
                listener.close()

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            for listener in self._listeners:
                listener.on_event(event)
