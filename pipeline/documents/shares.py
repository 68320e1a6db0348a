"""Format shares of images with no more digits than the number of images allows."""

from pipeline.documents.base import MIN_IMAGES_FOR_VERDICT

FEW_IMAGES = 200
"""Shares of fewer images are whole percents, because their 95 % intervals may be more than 13 points wide. Shares of
fewer than ``MIN_IMAGES_FOR_VERDICT`` are counts."""


def percent_of(value: float, images: int, digits: int = 2) -> str:
    """Format a figure (0-1) that was measured on images in percent: "65%" on few, else with ``digits`` decimals."""
    return f"{value:.{0 if images < FEW_IMAGES else digits}%}"


def share_of(value: float, images: int, digits: int = 2) -> str:
    """Format the share (0-1) that was counted on images: "11 of 12", "65%", or with ``digits`` decimals."""
    if images < MIN_IMAGES_FOR_VERDICT:
        return f"{value * images:.0f} of {images}"
    return percent_of(value, images, digits)


def interval_of(bounds: tuple[float, float], images: int, digits: int = 2) -> str:
    """Format the bounds (0-1) of an interval that was measured on images."""
    low, high = (percent_of(bound, images, digits) for bound in bounds)
    return f"{low} to {high}"
