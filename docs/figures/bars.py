"""Claims that a benchmark checks: a measured figure and its limit."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """One claim.

    Attributes:
        name: of the claim, or of the contender that is compared.
        value: the measured figure: a ratio, a difference, a share or seconds, as ``name`` says.
        limit: the upper limit of ``value``, or the lower limit if ``at_least``.
        against: the other contender, if ``name`` does not name it.
        ours, theirs: the medians from which ``value`` was computed, if there are any.
        unit: of ``ours`` and ``theirs``.
    """

    name: str
    value: float
    limit: float
    at_least: bool = False
    against: str = ""
    ours: float | None = None
    theirs: float | None = None
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the claim holds."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def to_json(self) -> dict[str, Any]:
        """Return all fields and whether the claim is met, as JSON values."""
        return asdict(self) | {"met": self.met}


def ratio_bar(name: str, medians: tuple[float, float], unit: str, limit: float, *, at_least: bool = False) -> Bar:
    """Make a claim on the ratio of two medians in ``unit``, ours divided by theirs."""
    ours, theirs = medians
    return Bar(name, ours / theirs, limit, at_least, ours=ours, theirs=theirs, unit=unit)


def format_bars(bars: list[dict[str, Any]]) -> str:
    """Format the claims as text, a line each."""
    names = [f"{bar['name']}, against {bar['against']}" if bar["against"] else bar["name"] for bar in bars]
    width = max(map(len, names))
    lines = [f"{'':<{width}}{'ours':>10}{'theirs':>10}{'':<8}{'measured':>9}{'bar':>9}"]
    for name, bar in zip(names, bars, strict=True):
        ours, theirs = ("" if bar[side] is None else f"{bar[side]:.2f}" for side in ("ours", "theirs"))
        sign, verdict = (">=" if bar["at_least"] else "<="), ("met" if bar["met"] else "MISSED")
        lines.append(
            f"{name:<{width}}{ours:>10}{theirs:>10} {bar['unit']:<7}"
            f"{bar['value']:>9.3f} {sign}{bar['limit']:>6.2f}  {verdict}"
        )
    return "\n".join(lines)
