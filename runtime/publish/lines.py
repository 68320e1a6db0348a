"""Print events as lines on standard output."""

import json
import time
from dataclasses import asdict, dataclass

from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.text import for_terminal


def utc_now() -> str:
    """Return the wall clock's time in ISO 8601; not for computing durations, because the clock may be set."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"


@dataclass(frozen=True)
class PublishedEvent:
    """An event in the form that all outputs publish.

    Attributes:
        time: the wall clock's time when it was published, in ISO 8601, UTC.
        event: its kind, ``begins`` or ``ends``.
        label: its class.
        probability, seconds: those of the ``Event``, with four and with three decimals.
    """

    time: str
    event: str
    label: str
    probability: float
    seconds: float

    @classmethod
    def of(cls, event: Event) -> "PublishedEvent":
        """Stamp an event with the present time, and round its figures."""
        return cls(utc_now(), event.kind, event.label, round(event.probability, 4), round(event.seconds, 3))


class EventLines:
    """A listener that prints a line per event: as text or as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Do nothing: only events are printed."""

    def on_event(self, event: Event) -> None:
        """Print the event immediately."""
        if self._as_json:
            print(json.dumps(asdict(PublishedEvent.of(event))), flush=True)
            return
        rest = f"({event.probability:.0%})" if event.kind == "begins" else f"after {event.seconds:.1f} s"
        print(for_terminal(f"{time.strftime('%H:%M:%S')} {event.label} {event.kind} {rest}"), flush=True)

    def close(self) -> None:
        """Do nothing: all lines are printed already."""
