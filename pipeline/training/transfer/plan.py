"""Plan a training by the number of photos and minutes: side, views, and why. It uses no clock."""

from dataclasses import dataclass

from pipeline.errors import PipelineError

SIDES = (224, 192, 160, 128, 96)
VIEWS = (4, 2, 1)
SECONDS_A_VIEW = 0.03
"""Of one photo at 224 pixels on two cores (EfficientNet-Lite0); other sides by their number of pixels."""
SHARE_OF_FEATURES = 0.8
"""Of the time; the rest is for reading photos and fitting."""
DEFAULT_MINUTES = 10.0
ACCUMULATES_A_SECOND = 2e10
"""Multiply-accumulates of training on two cores: forward and twice as much backward."""


@dataclass(frozen=True)
class Plan:
    """How a network is fitted to photos.

    Attributes:
        side: in pixels.
        views: of each photo, itself included.
        why: a sentence.
    """

    side: int
    views: int
    why: str


def plan(photos: int, minutes: float, side: int | None = None, views: int | None = None) -> Plan:
    """The largest side and most views that the time allows; what is given stays.

    Raises:
        PipelineError: no minutes, or no view.
    """
    if not minutes > 0:
        raise PipelineError(f"--minutes must be more than 0, got {minutes:g}")
    if views is not None and views < 1:
        raise PipelineError(f"--views must be 1 or more, got {views}")
    sides = SIDES if side is None else (side,)
    numbers = VIEWS if views is None else (views,)
    # Views are given up first: half of them cost less accuracy than a third of the pixels.
    choices = [(each, number) for each in sides for number in numbers]
    for each, number in choices:
        seconds = _seconds(photos, each, number)
        if seconds <= SHARE_OF_FEATURES * 60 * minutes:
            break
    seconds = _seconds(photos, each, number)
    fits = "" if seconds <= SHARE_OF_FEATURES * 60 * minutes else ", more than you allow, and the least there is"
    why = (
        f"{each} pixels, {number} view{'s' * (number > 1)} of each of {photos:,} photos: about "
        f"{max(seconds / 60, 0.1):.1f} of {minutes:g} minutes on two cores the first time{fits}"
    )
    return Plan(each, number, why)


def epochs_within(minutes: float, work: int, photos: int) -> float:
    """How many passes over the photos fit into the minutes, at ``work`` multiply-accumulates a photo."""
    return 60 * minutes * ACCUMULATES_A_SECOND / (3 * max(work, 1) * photos)


def _seconds(photos: int, side: int, views: int) -> float:
    return photos * views * SECONDS_A_VIEW * (side / SIDES[0]) ** 2
