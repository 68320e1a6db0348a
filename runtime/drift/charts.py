"""The sequential test: a CUSUM chart per statistic compares blocks of frames with the usual values at this time of day.

Successive frames are similar, and day and night repeat. Therefore each block of frames gives one value per statistic;
the value is compared with blocks of the same half hour on earlier days, whose spread includes weather and events; and
the chart ignores the first ``Rule.allowance`` standard deviations of each block. Source: E. S. Page, "Continuous
inspection schemes", Biometrika 41, 1954. docs/field.md gives simulated false-alarm rates and delays.

The module is plain Python, because ``doctor``, which uses it, cannot rely on numpy.
"""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

MIX_BINS = 16
SLOTS, SLOT_S = 48, 1800
"""Number of time slots per day, and length of a slot in seconds."""
TRIAL_DAYS, LEARNING_DAYS = 3, 7
"""Alarms are possible after ``LEARNING_DAYS``; after ``TRIAL_DAYS`` the usual height of the charts is learned."""
MEMORY_DAYS = 28
"""Older days lose weight, so that the usual values follow the seasons."""
LIMIT = 8.0
"""A chart alarms when its total exceeds this many standard deviations."""
ABOVE_PEAK = 1.5
"""After a chart has alarmed and returned to 0, its next alarm needs this multiple of the height reached: recurring
excursions are not a change. For the chart of a share the same holds after any rise."""
UNCERTAINTY = 3.0
"""A standard deviation from d days is multiplied by ``1 + UNCERTAINTY / d``: few days do not show all weather."""

GROSS = 6.0
"""After the learning days, blocks further from the mean (in standard deviations) are not learned. Nearer ones are, or
the standard deviation would shrink more and more."""
NEW_CLASS = 0.0005
"""A class whose mean share (0-1) of the frames is larger does not count as new."""


class Rule(NamedTuple):
    """Parameters of a statistic's test.

    Attributes:
        floor: smallest standard deviation to use, in the statistic's unit; smaller changes are irrelevant.
        allowance: standard deviations that are subtracted from every block's deviation.
        largest: limit for a block's deviation in standard deviations, so that a single block never alarms.
    """

    floor: float
    allowance: float = 3.0
    largest: float = 10.0


RULES = {
    "brightness": Rule(6.0, allowance=4.5),  # because of the weather
    "sharpness": Rule(0.25),
    "redness": Rule(0.05),
    "greenness": Rule(0.03),
    "confidence": Rule(0.04, largest=5.5),
    "unknown": Rule(0.05, largest=5.5),
}
UPWARD_ONLY = "unknown"
CLASS, CLASS_RULE = "class ", Rule(0.05, allowance=2.5, largest=5.0)
"""A statistic such as ``class 3`` is the share of frames that show a class; it is tested while the class is new."""


@dataclass
class Baseline:
    """Usual values of statistics, in a time slot or all day.

    Attributes:
        days: number of different days with data, up to ``MEMORY_DAYS``.
        last_day: the last of these days, in days since 1970.
        blocks: number of blocks; older days have less weight.
        mean: mean of each statistic.
        squares: sum of squared deviations from the mean of each statistic.
    """

    days: int = 0
    last_day: int = -1
    blocks: float = 0.0
    mean: dict[str, float] = field(default_factory=dict)
    squares: dict[str, float] = field(default_factory=dict)

    def deviation(self, name: str) -> float:
        """Return the standard deviation of a statistic over the blocks."""
        return math.sqrt(self.squares.get(name, 0.0) / max(self.blocks - 1, 1.0))

    def learn(self, values: dict[str, float], day: int) -> None:
        """Update the means and deviations with a block's values; ``day`` is in days since 1970."""
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
    """A block's input to a chart.

    Attributes:
        excess: deviation minus allowance, in standard deviations.
        value: value of the statistic.
        usual: its usual mean.
        start_s: start of the block, in seconds of the wall clock.
    """

    excess: float
    value: float
    usual: float
    start_s: float


@dataclass
class Chart:
    """CUSUM chart for one direction of one statistic.

    Attributes:
        total: cumulative sum of the excesses, in standard deviations, at least 0.
        since_s: start of the present excursion, in seconds of the wall clock; 0 before the first.
        before: usual mean at that time.
        now: mean of the statistic since then.
        blocks: number of blocks of the excursion.
        peak: largest height from which the chart has returned.
        top: largest ``total`` of the present excursion.
        alarmed: whether ``total`` has passed the limit, and has not returned to 0 since.
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
        """Update the chart with a block.

        Args:
            step: the block.
            on_trial: the slot is still learning, so the chart cannot alarm.
            forgives: raise the alarm limit to the heights that the chart reached while learning and in earlier
                excursions, because such excursions recur.
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
    """All charts and usual values of a site; constant size.

    Attributes:
        slots: usual look of the frames and confidence of the predictions, for each time slot of the day.
        classes: usual shares of the classes, over the whole day: if predictions depend on the light, slots would
            report every cloudy day.
        charts: by statistic and direction, e.g. ``brightness-``.
    """

    slots: list[Baseline] = field(default_factory=lambda: [Baseline() for _ in range(SLOTS)])
    classes: Baseline = field(default_factory=Baseline)
    charts: dict[str, Chart] = field(default_factory=dict)

    @property
    def learned_days(self) -> int:
        """Number of learned days: the largest of all slots."""
        return max(slot.days for slot in self.slots)

    def alarms(self) -> dict[str, Chart]:
        """Return the charts that are in alarm, by name."""
        return {name: chart for name, chart in self.charts.items() if chart.alarmed}

    def add(self, values: dict[str, float], start_s: float, end_s: float) -> None:
        """Test a block of frames, and learn from it unless there is an alarm.

        Args:
            values: mean of each statistic over the block's frames.
            start_s: time of the first frame, in seconds of the wall clock.
            end_s: time of the last frame.
        """
        slot = self.slots[int(end_s // SLOT_S) % SLOTS]
        parts: tuple[tuple[Baseline, dict[str, float]], ...] = ((slot, {}), (self.classes, {}))
        for name, value in values.items():
            parts[name.startswith(CLASS)][1][name] = value
        exceeds = [self._judge(usual, part, start_s) for usual, part in parts]
        if not self.alarms():
            if not exceeds[0] or slot.days < LEARNING_DAYS:
                slot.learn(parts[0][1], int(end_s // 86_400))
            self.classes.learn(parts[1][1], int(end_s // 86_400))

    def _judge(self, usual: Baseline, values: dict[str, float], start_s: float) -> bool:
        """Update the charts with a block's values; return whether a value deviates by more than ``GROSS``."""
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
        """Return the state as JSON-compatible values."""
        return {
            "slots": [vars(slot) for slot in self.slots],
            "classes": vars(self.classes),
            "charts": {name: vars(chart) for name, chart in self.charts.items()},
        }

    @classmethod
    def from_entries(cls, entries: dict[str, Any]) -> "Charts":
        """Read ``entries``' result.

        Raises:
            ValueError, TypeError, LookupError: the entries are not those of ``entries``.
        """
        slots = [Baseline(**slot) for slot in entries["slots"]]
        charts = {name: Chart(**chart) for name, chart in entries["charts"].items()}
        if len(slots) != SLOTS:
            raise ValueError(f"{len(slots)} time slots, expected {SLOTS}")
        return cls(slots, Baseline(**entries["classes"]), charts)
