"""Turn predictions for frames into events: a class begins, a class ends.

    from runtime.events import EventDetector
    detector = EventDetector()
    for frame in frames:
        for event in detector.update(classifier.classify(frame)):
            print(event.kind, event.label)

This module imports only the detector; the commands import the rest.
"""

from runtime.events.detector import Event, EventDetector, EventSettings

__all__ = ["Event", "EventDetector", "EventSettings"]
