"""Print events as lines on standard output."""

import json
import time
from typing import Any

from runtime.events.detector import Event
from runtime.events.session import ClassifiedFrame
from runtime.text import for_terminal


def utc_now() -> str:
    """Return the wall clock's time in ISO 8601; not for computing durations, because the clock may be set."""
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03}Z"


def event_entries(event: Event) -> dict[str, Any]:
    """Return an event as JSON-compatible entries, the same in all outputs."""
    return {
        "time": utc_now(),
        "event": event.kind,
        "label": event.label,
        "probability": round(event.probability, 4),
        "seconds": round(event.seconds, 3),
    }


class EventLines:
    """A listener that prints a line per event: as text or as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def on_frame(self, frame: ClassifiedFrame) -> None:
        """Do nothing: only events are printed."""

    def on_event(self, event: Event) -> None:
        """Print the event immediately."""
        if self._as_json:
            print(json.dumps(event_entries(event)), flush=True)
            return
        rest = f"({event.probability:.0%})" if event.kind == "begins" else f"after {event.seconds:.1f} s"
        print(for_terminal(f"{time.strftime('%H:%M:%S')} {event.label} {event.kind} {rest}"), flush=True)

    def close(self) -> None:
        """Do nothing: all lines are printed already."""
