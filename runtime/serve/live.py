"""``Live``: the present state of the camera, written by the classification loop and read by requests."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from runtime.camera.inbox import Inbox
from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.publish.lines import PublishedEvent

EVENTS = 100
"""Number of last events that are kept."""
LATE_S = 10.0
"""The status is ``late`` after this many seconds without a frame."""
MAX_FRAME_BYTES = 1 << 20
"""Larger frames are classified but not shown, because each slow client holds a copy in memory."""


class Picture(NamedTuple):
    """A frame as the camera sent it, and its number."""

    number: int
    content: bytes


class Live:
    """A listener that remembers the last frame and the last events.

    Args:
        inbox: gives the counts of dropped and broken frames.
        model: name of the model to show.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, inbox: Inbox, model: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._inbox, self._model, self._clock = inbox, model, clock
        self._lock = threading.Lock()
        self._picture: Picture | None = None
        self._frame: ClassifiedFrame | None = None
        self._on: dict[str, PublishedEvent] = {}
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self._times: deque[float] = deque(maxlen=60)
        self._count = self._event_count = 0
        self._drift: list[str] = []
        self._start_s = clock()

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Remember the frame; only frames given as bytes are shown."""
        with self._lock:
            self._count += 1
            self._frame = frame
            self._times.append(self._clock())
            if isinstance(frame.image, bytes) and len(frame.image) <= MAX_FRAME_BYTES:
                self._picture = Picture(self._count, frame.image)

    def on_event(self, event: Event) -> None:
        """Remember the event."""
        published = PublishedEvent.of(event)
        with self._lock:
            self._event_count += 1
            self._events.append({"number": self._event_count, **asdict(published)})
            self._on.pop(event.label, None)
            if event.kind == "begins":
                self._on[event.label] = published

    def on_drift(self, sentences: Sequence[str]) -> None:
        """Remember the drift report."""
        self._drift = list(sentences)

    def close(self) -> None:
        """Do nothing."""

    @property
    def picture(self) -> Picture | None:
        """The last frame; ``None`` before the first."""
        return self._picture

    def state(self) -> dict[str, Any]:
        """Return everything except the picture, as JSON-compatible values."""
        with self._lock:
            frame, times = self._frame, list(self._times)
            picture = self._picture
            on = next(reversed(self._on.values()), None)
            state = {
                "model": self._model,
                "frame": picture.number if picture else None,
                "on": None if on is None else asdict(on),
                "labels": list(self._on),
                "events": list(self._events),
                "classified": self._count,
            }
        span = self._clock() - times[0] if times else 0.0
        return state | {
            "top": [{"label": label, "probability": share} for label, share in frame.prediction.top] if frame else [],
            "confident": frame.prediction.is_confident if frame else None,
            "known": frame.prediction.is_known if frame else None,
            "frames_per_second": round(len(times) / span, 2) if span > 0 else 0.0,
            "dropped": self._inbox.dropped,
            "broken": self._inbox.broken,
            **self.health(),
        }

    def health(self) -> dict[str, Any]:
        """Return status (``ok``, ``starting`` before the first frame, or ``late``), the last frame's age, and drift."""
        now, last = self._clock(), self._times[-1] if self._times else None
        age = round(now - last, 3) if last is not None else None
        late = now - (self._start_s if last is None else last) > LATE_S
        status = "late" if late else "starting" if last is None else "ok"
        return {"status": status, "seconds_since_frame": age, **({"drift": self._drift} if self._drift else {})}
