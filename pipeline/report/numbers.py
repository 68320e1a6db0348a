"""Format numbers for the page."""

from collections.abc import Sequence

from pipeline.documents.shares import share_of

NONE = "\N{EN DASH}"
"""Shown instead of a missing number."""


def duration(microseconds: float) -> str:
    """Format a time with about three digits, in µs, ms or s."""
    divisor, unit = time_unit(microseconds)
    return f"{three_digits(microseconds / divisor)} {unit}"


def time_unit(microseconds: float) -> tuple[float, str]:
    """Return the unit of a time of this size: its length in microseconds, and its name."""
    for limit, divisor, unit in ((1e3, 1.0, "µs"), (1e6, 1e3, "ms")):
        if microseconds < limit:
            return divisor, unit
    return 1e6, "s"


def three_digits(value: float) -> str:
    """Format a number with three digits, or without decimals from 100 on."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def size(count: float) -> str:
    """Format a number of bytes in KiB or MiB."""
    return f"{count / 1024:,.0f} KiB" if count < 10 * 2**20 else f"{count / 2**20:,.1f} MiB"


def percent(share: float | None, digits: int = 2) -> str:
    """Format a share (0-1) in percent; ``None`` as a dash."""
    return NONE if share is None else f"{share:.{digits}%}"


def share(value: float | None, images: int | None, digits: int = 2) -> str:
    """Format a share (0-1) of images as ``share_of`` does; ``None`` as a dash. Their number may be unknown."""
    return percent(value, digits) if value is None or images is None else share_of(value, images, digits)


def points(value: float | None) -> str:
    """Format percentage points of accuracy with their sign; ``None`` as a dash."""
    if value is None:
        return NONE
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}") if abs(value) >= 0.005 else "0.00"


def small(value: float | None) -> str:
    """Format a difference of probabilities; ``None`` as a dash."""
    return NONE if value is None else f"{value:.1e}"


def optional(value: float | None, form: str = ".1f", divisor: float = 1) -> str:
    """Format ``value / divisor``; ``None`` as a dash."""
    return NONE if value is None else format(value / divisor, form)


def listed(words: Sequence[str]) -> str:
    """Join words: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
