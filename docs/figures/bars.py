"""Claims that a benchmark checks: a measured figure and the bound that it should keep."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """One claim.

    Attributes:
        name: what is claimed, or what is compared.
        value: the figure: a ratio, a difference, a share or seconds, as ``name`` says.
        limit: the most that ``value`` may be, or the least where ``at_least``.
        against: what ``name`` is compared with, where ``name`` does not say so.
        ours, theirs: the medians behind the figure, if it has any.
        unit: of both.
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
        """All of it, with the verdict."""
        return asdict(self) | {"met": self.met}


def ratio_bar(name: str, medians: tuple[float, float], unit: str, limit: float, *, at_least: bool = False) -> Bar:
    """A claim on the ratio of two medians in ``unit``, ours to theirs."""
    ours, theirs = medians
    return Bar(name, ours / theirs, limit, at_least, ours=ours, theirs=theirs, unit=unit)


def format_bars(bars: list[dict[str, Any]]) -> str:
    """The claims as text, a line each."""
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
