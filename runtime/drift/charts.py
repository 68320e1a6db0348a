"""The sequential test: one CUSUM chart for each statistic compares blocks of frames with what is usual at this hour.

Frames that follow one another are alike, and day and night repeat. So a block of frames gives one value a statistic;
it is compared with the blocks of the same half hour on former days, whose spread has both the weather of the days and
the events within them; and the chart forgives the first ``ALLOWANCE`` standard deviations of every
block. Source: E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954; docs/field.md has the rate of false
alarms and the delays, simulated.

Plain Python, for it is read by ``doctor``, which cannot rely on numpy.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MIX_BINS = 16
SLOTS, SLOT_S = 48, 1800
"""The number of slots of a day, and the seconds of each."""
TRIAL_DAYS, LEARNING_DAYS = 3, 7
"""A slot is judged after the second number of days; from the first on, the usual height of its charts is learned."""
MEMORY_DAYS = 28
"""Older days fade, so that what is usual follows the seasons."""
LIMIT = 8.0
"""The sum of what exceeds the allowances, in standard deviations, at which a chart alarms."""
ABOVE_PEAK = 1.5
"""A chart that has alarmed and come back by itself, and the chart of a share that has risen at all, alarm next time at
this multiple of that height: what comes and goes is no change."""
UNCERTAINTY = 3.0
"""The deviation of d days is taken to be larger by ``UNCERTAINTY / d``: few days do not show all weather."""

GROSS = 6.0
"""Standard deviations from which on a block is not learned; others are, or the spread would seem ever smaller."""
NEW_CLASS = 0.0005
"""A class that had a larger share of the frames is not new."""


class Rule(NamedTuple):
    """How a statistic is judged.

    Attributes:
        floor: the least standard deviation that is believed in, in the statistic's unit: less matters to nobody.
        allowance: standard deviations that every block is forgiven.
        largest: no block counts as more standard deviations, so that one alone never alarms.
    """

    floor: float
    allowance: float = 3.0
    largest: float = 10.0


RULES = {
    "brightness": Rule(6.0, allowance=4.5),  # the weather's
    "sharpness": Rule(0.25),
    "redness": Rule(0.05),
    "greenness": Rule(0.03),
    "confidence": Rule(0.04, largest=5.5),
    "unknown": Rule(0.05, largest=5.5),
}
UPWARD_ONLY = "unknown"
CLASS, CLASS_RULE = "class ", Rule(0.05, allowance=2.5, largest=5.0)
"""A statistic such as ``class 3`` is the share of frames that show a class; it is judged while the class is new."""


@dataclass
class Usual:
    """What is usual, at a time of the day or at any.

    Attributes:
        days: how many different ones it was seen on, up to ``MEMORY_DAYS``.
        last_day: the last of them, as a number.
        blocks: how many there were, those of older days counting less.
        mean, squares: of each statistic; ``squares`` is the sum of squared distances from the mean.
    """

    days: int = 0
    last_day: int = -1
    blocks: float = 0.0
    mean: dict[str, float] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)

    def deviation(self, name: str) -> float:
        """Standard deviation of a statistic over the blocks."""
        return math.sqrt(self.squares.get(name, 0.0) / max(self.blocks - 1, 1.0))

    def learn(self, values: dict[str, float], day: int) -> None:
        """Take in a block."""
        if day != self.last_day:
            self.last_day = day
            if self.days == MEMORY_DAYS:
                fading = 1 - 1 / MEMORY_DAYS
                self.blocks *= fading
                self.squares = {name: value * fading for name, value in self.squares.items()}
            self.days = min(self.days + 1, MEMORY_DAYS)
        self.blocks += 1
        for name, value in values.items():
            before = self.mean.get(name, value)
            self.mean[name] = before + (value - before) / self.blocks
            self.squares[name] = self.squares.get(name, 0.0) + (value - before) * (value - self.mean[name])


class Step(NamedTuple):
    """A block in a chart.

    Attributes:
        excess: by how many standard deviations it exceeds what every block is forgiven.
        value: of the statistic.
        usual: its usual mean.
        start_s: when the block began.
    """

    excess: float
    value: float
    usual: float
    start_s: float


@dataclass
class Chart:
    """One direction of one statistic.

    Attributes:
        total: what exceeded the allowance, in standard deviations.
        since_s: when the present excursion began, in seconds of the wall clock; 0 while there is none.
        before: what was usual then.
        now: mean of the statistic since then.
        blocks: of the excursion.
        peak: how high it has risen and come back.
        top: how high it has risen since it left 0.
        alarmed: whether ``total`` has passed the limit, and not come back to 0 since.
    """

    total: float = 0.0
    since_s: float = 0.0
    before: float = 0.0
    now: float = 0.0
    blocks: int = 0
    peak: float = 0.0
    top: float = 0.0
    alarmed: bool = False

    def add(self, step: Step, *, on_trial: bool, forgives: bool) -> None:
        """Take in a block.

        Args:
            step: what it is.
            on_trial: still learning, so that nothing alarms.
            forgives: a height that was reached in the days of learning, or before, is no alarm.
        """
        if not self.total:
            self.since_s, self.before, self.now, self.blocks = step.start_s, step.usual, 0.0, 0
        limit = max(LIMIT, ABOVE_PEAK * self.peak)
        self.total = min(max(self.total + step.excess, 0.0), 2 * limit)
        self.top = max(self.top, self.total)
        self.blocks += 1
        self.now += (step.value - self.now) / self.blocks
        if (forgives and on_trial) or (not self.total and (forgives or self.alarmed)):
            self.peak = max(self.peak, min(self.top, limit))
        if not self.total:
            self.top = 0.0
        self.alarmed = not on_trial and (self.total > limit or (self.alarmed and self.total > 0))


@dataclass
class Charts:
    """All that is remembered of a site, of constant size.

    Attributes:
        slots: what frames look like and how sure the answers are, for each slot of the day.
        classes: which classes are seen, at any time: where the view changes its answer with the light, a slot would
            take each cloudy day for a change.
        charts: by statistic and direction, as ``brightness-``.
    """

    slots: list[Usual] = field(default_factory=lambda: [Usual() for _ in range(SLOTS)])
    classes: Usual = field(default_factory=Usual)
    charts: dict[str, Chart] = field(default_factory=dict)

    @property
    def learned_days(self) -> int:
        """On how many days the slot that was seen most was seen."""
        return max(slot.days for slot in self.slots)

    def alarms(self) -> dict[str, Chart]:
        """The charts that have alarmed."""
        return {name: chart for name, chart in self.charts.items() if chart.alarmed}

    def add(self, values: dict[str, float], start_s: float, end_s: float) -> None:
        """Take in a block.

        Args:
            values: mean of each statistic over its frames.
            start_s: time of its first frame, in seconds of the wall clock.
            end_s: time of its last one.
        """
        slot = self.slots[int(end_s // SLOT_S) % SLOTS]
        parts: tuple[tuple[Usual, dict[str, float]], ...] = ((slot, {}), (self.classes, {}))
        for name, value in values.items():
            parts[name.startswith(CLASS)][1][name] = value
        exceeds = [self._judge(usual, part, start_s) for usual, part in parts]
        if not self.alarms():
            if not exceeds[0] or slot.days < LEARNING_DAYS:
                slot.learn(parts[0][1], int(end_s // 86_400))
            self.classes.learn(parts[1][1], int(end_s // 86_400))

    def _judge(self, usual: Usual, values: dict[str, float], start_s: float) -> bool:
        """Hold values against what is usual; whether one is far from it."""
        if usual.days < TRIAL_DAYS:
            return False
        exceeds = False
        on_trial = usual.days < LEARNING_DAYS
        for name, value in values.items():
            is_class = name.startswith(CLASS)
            rule, mean = CLASS_RULE if is_class else RULES[name], usual.mean.get(name, value)
            deviation = max(usual.deviation(name), rule.floor) * (1 + UNCERTAINTY / usual.days)
            score = (value - mean) / deviation
            is_share = is_class or name == UPWARD_ONLY
            for sign, direction in ((1, "+"),) if is_share else ((1, "+"), (-1, "-")):
                chart = self.charts.setdefault(name + direction, Chart())
                if is_class and mean > NEW_CLASS and not chart.total:
                    continue
                excess = min(sign * score, rule.largest) - rule.allowance
                chart.add(Step(excess, value, mean, start_s), on_trial=on_trial, forgives=is_share)
                exceeds = exceeds or sign * score > GROSS
        return exceeds

    def entries(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {
            "slots": [vars(slot) for slot in self.slots],
            "classes": vars(self.classes),
            "charts": {name: vars(chart) for name, chart in self.charts.items()},
        }

    @classmethod
    def from_entries(cls, entries: dict[str, Any]) -> "Charts":
        """Read ``entries``' result.

        Raises:
            ValueError, TypeError, LookupError: it is something else.
        """
        slots = [Usual(**slot) for slot in entries["slots"]]
        charts = {name: Chart(**chart) for name, chart in entries["charts"].items()}
        if len(slots) != SLOTS:
            raise ValueError(f"{len(slots)} times of the day in place of {SLOTS}")
        return cls(slots, Usual(**entries["classes"]), charts)
