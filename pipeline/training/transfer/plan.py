"""Choose side and number of views for a number of photos and minutes, from a cost model; no clock is used."""

from dataclasses import dataclass

from pipeline.errors import PipelineError
from runtime.text import plural

SIDES = (224, 192, 160, 128, 96)
VIEWS = (4, 2, 1)
SECONDS_A_VIEW = 0.03
"""Time for the features of one view at 224 pixels on two cores (EfficientNet-Lite0); proportional to the pixels."""
SHARE_OF_FEATURES = 0.8
"""Share of the time for computing features; the rest is for reading photos and fitting."""
DEFAULT_MINUTES = 10.0
ACCUMULATES_A_SECOND = 2e10
"""Multiply-accumulates per second in training on two cores; a step costs three forward passes."""


@dataclass(frozen=True)
class Plan:
    """The side and number of views with which a network is fitted to photos.

    Attributes:
        side: of the images in pixels.
        views: number of views of each photo, including the unchanged photo.
        why: explanation for the user.
    """

    side: int
    views: int
    why: str


def plan(photos: int, minutes: float, side: int | None = None, views: int | None = None) -> Plan:
    """Choose the largest side, then the most views, that fit into the time; given values are kept.

    Raises:
        PipelineError: ``minutes`` is not more than 0, or ``views`` is less than 1.
    """
    if not minutes > 0:
        raise PipelineError(f"--minutes must be more than 0, got {minutes:g}")
    if views is not None and views < 1:
        raise PipelineError(f"--views must be 1 or more, got {views}")
    sides = SIDES if side is None else (side,)
    numbers = VIEWS if views is None else (views,)
    # Views are reduced first: half of the views costs less accuracy than a third of the pixels.
    choices = [(each, number) for each in sides for number in numbers]
    for each, number in choices:
        seconds = _seconds(photos, each, number)
        if seconds <= SHARE_OF_FEATURES * 60 * minutes:
            break
    seconds = _seconds(photos, each, number)
    fits = seconds <= SHARE_OF_FEATURES * 60 * minutes
    limit = f"limit: --minutes {minutes:g}" if fits else f"over --minutes {minutes:g}, but no choice is faster"
    why = (
        f"{each} pixels, {plural(number, 'view')} of each of {plural(photos, 'photo')}: the first run takes about "
        f"{_time(seconds)} on two cores ({limit})"
    )
    return Plan(each, number, why)


def _time(seconds: float) -> str:
    return plural(max(round(seconds), 1), "second") if seconds < 100 else f"{seconds / 60:.0f} minutes"


def epochs_within(minutes: float, work: int, photos: int) -> float:
    """Return how many training epochs fit into the minutes, at ``work`` multiply-accumulates per photo."""
    return 60 * minutes * ACCUMULATES_A_SECOND / (3 * max(work, 1) * photos)


def _seconds(photos: int, side: int, views: int) -> float:
    return photos * views * SECONDS_A_VIEW * (side / SIDES[0]) ** 2
