"""``EventDetector``: debounce predictions over several frames, so that a single wrong one causes no event."""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from runtime.prediction import Prediction

Kind = Literal["begins", "ends"]
MAX_WINDOW = 1000


@dataclass(frozen=True)
class EventSettings:
    """The conditions under which an event begins and ends.

    Attributes:
        votes: number of the last ``window`` frames that must show a class for it to begin, 1 or more.
        window: number of last frames that are counted, ``votes`` to 1,000.
        end_votes: an event continues while at least this many of these frames show its class, 1 to ``votes``; default:
            half of ``votes``, rounded up. A value below ``votes`` gives hysteresis.
        min_seconds: seconds for which the frames must agree before an event begins or ends.
        min_probability: frames of a lower probability (0-1) count as showing nothing, as do frames that are not
            confident or not known.
        lost_after_s: seconds without a frame after which an event ends and earlier frames are forgotten; ``None``:
            never.

    Raises:
        ValueError: a value out of range.
    """

    votes: int = 4
    window: int = 5
    end_votes: int | None = None
    min_seconds: float = 0.5
    min_probability: float = 0.0
    lost_after_s: float | None = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.votes <= self.window <= MAX_WINDOW:
            raise ValueError(
                f"expected votes of at least 1 among a window of at most {MAX_WINDOW:,} frames, "
                f"got {self.votes} of {self.window}"
            )
        if not 1 <= self.votes_to_continue <= self.votes:
            raise ValueError(f"end_votes must be 1 to {self.votes} (votes), got {self.end_votes}")
        if not 0 <= self.min_seconds < float("inf"):
            raise ValueError(f"min_seconds must be 0 or more, got {self.min_seconds}")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"min_probability must be 0 to 1, got {self.min_probability}")
        if self.lost_after_s is not None and not self.lost_after_s > 0:
            raise ValueError(f"lost_after_s must be above 0 or None, got {self.lost_after_s}")

    @property
    def votes_to_continue(self) -> int:
        """``end_votes``, or its default."""
        return (self.votes + 1) // 2 if self.end_votes is None else self.end_votes


@dataclass(frozen=True)
class Event:
    """The beginning or the end of a class.

    Attributes:
        kind: ``begins`` or ``ends``.
        label: name of the class.
        time_s: time of the decision, in seconds of the detector's clock.
        probability: at the beginning, the mean (0-1) over the frames in the window that show the class; at the end,
            the highest of all frames of the event.
        seconds: duration so far; 0 at the beginning.
    """

    kind: Kind
    label: str
    time_s: float
    probability: float
    seconds: float = 0.0


@dataclass
class _Running:
    label: str
    begun_s: float
    highest: float


class EventDetector:
    """A detector that turns predictions of frames into events when a class begins or ends. Not thread-safe.

    At most one class is active at a time. For a multi-label model any number of labels are active: each begins and
    ends independently, and a frame counts for a label that is in ``Prediction.labels``.

    Args:
        settings: how many frames must agree, and for how long.
        clock: monotonic clock, in seconds; the wall clock is unsuitable, because it may be set.
    """

    def __init__(self, settings: EventSettings = EventSettings(), clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._shown: deque[tuple[str | None, float]] = deque(maxlen=settings.window)
        self._running: _Running | None = None
        self._agreed: tuple[str, float] | None = None
        self._uncertain_s: float | None = None
        self._now_s = float("-inf")
        self._by_label: dict[str, EventDetector] = {}

    @property
    def label(self) -> str | None:
        """The active class of a single-label model; ``None`` if there is none."""
        return self._running.label if self._running else None

    @property
    def labels(self) -> tuple[str, ...]:
        """All active labels; at most one, except for a multi-label model."""
        return tuple(one.label for one in (self, *self._by_label.values()) if one.label is not None)

    def update(self, prediction: "Prediction", time_s: float | None = None) -> list[Event]:
        """Count a frame.

        Args:
            prediction: the prediction for it.
            time_s: time of the frame, in seconds of the clock; default: now. A time before that of the last frame is
                replaced by that of the last frame.

        Returns:
            The events that it causes, ends before beginnings; mostly none.
        """
        now = self._clock() if time_s is None else time_s
        if prediction.labels is not None:
            return self._update_labels(prediction, prediction.labels, now)
        events = self.check(now)
        now = self._now_s = max(now, self._now_s)
        doubtful = prediction.is_known is False or not prediction.is_confident
        counts = not doubtful and prediction.probability >= self._settings.min_probability
        self._shown.append((prediction.label if counts else None, prediction.probability))
        if self._running and counts and prediction.label == self._running.label:
            self._running.highest = max(self._running.highest, prediction.probability)
        votes = Counter(label for label, _ in self._shown if label is not None)
        candidate = self._candidate(votes, now)
        if self._running and (candidate or self._is_over(votes, now)):
            events.append(self._end(now))
        if candidate:
            events.append(self._begin(candidate, now))
        return events

    def check(self, time_s: float | None = None) -> list[Event]:
        """End the active events if no frame has arrived for ``lost_after_s``; call it regularly while none arrives."""
        now, limit = self._clock() if time_s is None else time_s, self._settings.lost_after_s
        if self._by_label:
            return [event for one in self._by_label.values() for event in one.check(now)]
        if limit is None or now - self._now_s <= limit:
            return []
        self._shown.clear()
        self._agreed = None
        return [self._end(now)] if self._running else []

    def close(self, time_s: float | None = None) -> list[Event]:
        """End all active events, and forget earlier frames."""
        now = max(self._clock() if time_s is None else time_s, self._now_s)
        if self._by_label:
            return [event for one in self._by_label.values() for event in one.close(now)]
        self._shown.clear()
        self._agreed = None
        return [self._end(now)] if self._running else []

    def _update_labels(self, prediction: "Prediction", labels: tuple[str, ...], now: float) -> list[Event]:
        shares = dict(prediction.top)
        for label in labels:
            self._by_label.setdefault(label, EventDetector(self._settings, self._clock))
        events = []
        for label, detector in self._by_label.items():
            shown = replace(
                prediction,
                label=label,
                probability=shares.get(label, 0.0),
                is_confident=prediction.is_confident and label in labels,
                labels=None,
            )
            events += detector.update(shown, now)
        return sorted(events, key=lambda event: event.kind == "begins")  # ends before beginnings

    def _candidate(self, votes: Counter[str], now: float) -> str | None:
        """Return the class that begins now; ``None`` if none does."""
        on = self.label
        best = max((label for label in votes if label != on), key=votes.__getitem__, default=None)
        if best is None or votes[best] < self._settings.votes or (on and votes[best] <= votes[on]):
            self._agreed = None
            return None
        if self._agreed is None or self._agreed[0] != best:
            self._agreed = (best, now)
        return best if now - self._agreed[1] >= self._settings.min_seconds else None

    def _is_over(self, votes: Counter[str], now: float) -> bool:
        if votes[self.label or ""] >= self._settings.votes_to_continue:
            self._uncertain_s = None
            return False
        self._uncertain_s = now if self._uncertain_s is None else self._uncertain_s
        return now - self._uncertain_s >= self._settings.min_seconds

    def _begin(self, label: str, now: float) -> Event:
        shares = [probability for shown, probability in self._shown if shown == label]
        self._running, self._agreed, self._uncertain_s = _Running(label, now, max(shares)), None, None
        return Event("begins", label, now, sum(shares) / len(shares))

    def _end(self, now: float) -> Event:
        running = self._running
        assert running  # noqa: S101 - called only while an event is active
        self._running, self._uncertain_s = None, None
        return Event("ends", running.label, now, running.highest, now - running.begun_s)
