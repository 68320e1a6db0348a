"""Decide over several frames when a class begins and ends, so that one odd frame changes nothing."""

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
    """When an event begins and ends.

    Attributes:
        votes: how many of the last ``window`` frames must show a class before it begins, 1 or more.
        window: how many frames are looked at, ``votes`` to 1,000.
        end_votes: an event goes on while at least so many of them show its class, 1 to ``votes``; by default half of
            ``votes``, rounded up. What lies between both is the hysteresis.
        min_seconds: for how long the frames must agree before an event begins, or ends.
        min_probability: a frame whose probability (0-1) is lower shows nothing, nor does one that is not confident or
            not known.
        lost_after_s: seconds without a frame after which what was seen no longer counts; ``None``: it always counts.

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
        if not 1 <= self.goes_on_with <= self.votes:
            raise ValueError(f"end_votes must be 1 to {self.votes} (votes), got {self.end_votes}")
        if not 0 <= self.min_seconds < float("inf"):
            raise ValueError(f"min_seconds must be 0 or more, got {self.min_seconds}")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"min_probability must be 0 to 1, got {self.min_probability}")
        if self.lost_after_s is not None and not self.lost_after_s > 0:
            raise ValueError(f"lost_after_s must be above 0 or None, got {self.lost_after_s}")

    @property
    def goes_on_with(self) -> int:
        """``end_votes``, or its default."""
        return (self.votes + 1) // 2 if self.end_votes is None else self.end_votes


@dataclass(frozen=True)
class Event:
    """A class begins or ends.

    Attributes:
        kind: ``begins`` or ``ends``.
        label: the class.
        time_s: when that was decided, in seconds of the detector's clock.
        probability: of the frames in the window that show the class, the mean when it begins; when it ends, the
            highest of all its frames.
        seconds: how long it has lasted; 0 when it begins.
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
    """Takes the answer for each frame; says when a class begins and when it ends.

    At most one class is on. Of a multi-label model any number of labels are on: each begins and ends by itself, and a
    frame counts for it where ``Prediction.labels`` has it. Not for several threads at once.

    Args:
        settings: how many frames must agree, and for how long.
        clock: gives seconds that never go back; the wall clock, which is set now and then, is no good here.
    """

    def __init__(self, settings: EventSettings = EventSettings(), clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._shown: deque[tuple[str | None, float]] = deque(maxlen=settings.window)
        self._running: _Running | None = None
        self._agreed: tuple[str, float] | None = None
        self._doubted_s: float | None = None
        self._now_s = float("-inf")
        self._by_label: dict[str, EventDetector] = {}

    @property
    def label(self) -> str | None:
        """The class that is on."""
        return self._running.label if self._running else None

    @property
    def labels(self) -> tuple[str, ...]:
        """All that are on: at most one, but of a multi-label model."""
        return tuple(one.label for one in (self, *self._by_label.values()) if one.label is not None)

    def update(self, prediction: "Prediction", time_s: float | None = None) -> list[Event]:
        """Count one more frame.

        Args:
            prediction: the answer for it.
            time_s: when it was taken, in seconds of the clock; by default now. A time before the last one counts as
                the last one.

        Returns:
            What ends and what begins with it, in this order; mostly nothing.
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
        """What ends because no frame has come for ``lost_after_s``; to be asked while none comes."""
        now, limit = self._clock() if time_s is None else time_s, self._settings.lost_after_s
        if self._by_label:
            return [event for one in self._by_label.values() for event in one.check(now)]
        if limit is None or now - self._now_s <= limit:
            return []
        self._shown.clear()
        self._agreed = None
        return [self._end(now)] if self._running else []

    def close(self, time_s: float | None = None) -> list[Event]:
        """End what is on; the next frame starts anew."""
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
        return sorted(events, key=lambda event: event.kind == "begins")  # what ends first

    def _candidate(self, votes: Counter[str], now: float) -> str | None:
        """The class that begins now, if one does."""
        on = self.label
        best = max((label for label in votes if label != on), key=votes.__getitem__, default=None)
        if best is None or votes[best] < self._settings.votes or (on and votes[best] <= votes[on]):
            self._agreed = None
            return None
        if self._agreed is None or self._agreed[0] != best:
            self._agreed = (best, now)
        return best if now - self._agreed[1] >= self._settings.min_seconds else None

    def _is_over(self, votes: Counter[str], now: float) -> bool:
        if votes[self.label or ""] >= self._settings.goes_on_with:
            self._doubted_s = None
            return False
        self._doubted_s = now if self._doubted_s is None else self._doubted_s
        return now - self._doubted_s >= self._settings.min_seconds

    def _begin(self, label: str, now: float) -> Event:
        shares = [probability for shown, probability in self._shown if shown == label]
        self._running, self._agreed, self._doubted_s = _Running(label, now, max(shares)), None, None
        return Event("begins", label, now, sum(shares) / len(shares))

    def _end(self, now: float) -> Event:
        running = self._running
        assert running  # noqa: S101 - asked only while one is on
        self._running, self._doubted_s = None, None
        return Event("ends", running.label, now, running.highest, now - running.begun_s)
