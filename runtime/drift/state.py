"""The drift state that is kept in a file between runs, and its report. No numpy, because ``doctor`` reads it."""

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.drift.charts import CLASS, LEARNING_DAYS, Chart, Charts
from runtime.errors import OutputError
from runtime.system.files import parse_json, read_regular

MAX_BYTES = 1 << 20
VERSION = 1
WORDS = {
    "brightness-": "darker",
    "brightness+": "brighter",
    "sharpness-": "more blurred",
    "sharpness+": "sharper",
    "redness+": "redder",
    "redness-": "bluer",
    "greenness+": "greener",
    "greenness-": "less green",
}
SHARES = ("confidence", "unknown")


@dataclass
class DriftState:
    """Content of the state file.

    Attributes:
        model: CRC-32 of the model's spec; for another model a new state is started.
        class_names: names of the classes; empty if there are too many for one chart each.
        ranges: smallest and largest value of each statistic on the validation images; empty if the spec has none.
        charts: usual values and charts of the test.
    """

    model: str
    class_names: tuple[str, ...] = ()
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    charts: Charts = field(default_factory=Charts)

    def sentences(self, now_s: float) -> list[str]:
        """Return one sentence per alarm; ``now_s`` is the wall clock."""
        return [self._sentence(name, chart, now_s) for name, chart in self.charts.alarms().items()]

    def summary(self, now_s: float) -> str:
        """Return the state in one line: alarms, days of learning, or ``as usual``."""
        if sentences := self.sentences(now_s):
            return "; ".join(sentences)
        days = self.charts.learned_days
        if days < LEARNING_DAYS:
            return f"learning what is usual here: {days} of {LEARNING_DAYS} days"
        return "as usual"

    def _sentence(self, name: str, chart: Chart, now_s: float) -> str:
        statistic, since = name[:-1], f"since {_when(chart.since_s, now_s)}"
        if statistic in SHARES:
            return f"{since} {statistic} {chart.before:.0%} -> {chart.now:.0%}"
        if statistic.startswith(CLASS):
            number = int(statistic.removeprefix(CLASS))
            label = self.class_names[number] if number < len(self.class_names) else "other classes"
            return f"{since} more often {label}: {chart.before:.0%} -> {chart.now:.0%} of the frames"
        low, high = self.ranges.get(statistic, (float("-inf"), float("inf")))
        if not low <= chart.now <= high:
            return (
                f"{since} {WORDS[name]} than anything in training ({statistic} {chart.now:.3g}; in training {low:.3g} "
                f"to {high:.3g})"
            )
        return f"{since} {WORDS[name]} than before ({statistic} {chart.before:.3g} -> {chart.now:.3g})"

    def to_json(self) -> bytes:
        """Return the content of the state file."""
        entries = {
            "version": VERSION,
            "model": self.model,
            "class_names": self.class_names,
            "ranges": self.ranges,
        }
        return json.dumps(entries | self.charts.entries()).encode()

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "DriftState":
        """Read a file written by ``to_json``.

        Raises:
            FileNotFoundError: there is no such file.
            OutputError: it cannot be read, or is not a drift state file.
        """
        try:
            entries: Any = parse_json(read_regular(path, MAX_BYTES))
            if entries["version"] != VERSION:
                raise ValueError(f"version {entries['version']!r:.20}")
            ranges = {str(name): (float(low), float(high)) for name, (low, high) in entries["ranges"].items()}
            names = tuple(map(str, entries["class_names"]))
            return cls(str(entries["model"]), names, ranges, Charts.from_entries(entries))
        except FileNotFoundError:
            raise
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            raise OutputError(
                f"{os.fspath(path)}: not a drift state file ({error!s:.200}); delete it, or name another file"
            ) from error


def describe(path: Path) -> str:
    """Return the summary of a state file, for ``doctor``.

    Raises:
        OutputError: as for ``DriftState.read``; also if there is no such file.
    """
    try:
        return DriftState.read(path).summary(time.time())
    except FileNotFoundError as error:
        raise OutputError(f"{path}: no such file yet; stream, watch and serve write it with --drift FILE") from error


def _when(then_s: float, now_s: float) -> str:
    age_s = now_s - then_s
    form = "%H:%M" if 0 <= age_s < 86_400 else "%A" if 0 <= age_s < 7 * 86_400 else "%Y-%m-%d"
    return time.strftime(form, time.localtime(then_s))
