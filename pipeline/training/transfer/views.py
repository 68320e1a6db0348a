"""Augmented views of photos: crops, zoom, rotation, flips and colors, each fixed by the photo and the view's number.

Because a view depends on nothing but the photo's own pixels and its number, what a network says of it can be kept.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from pipeline import artifacts

VERSION = 1
"""To be raised when a view of the same number becomes another one."""

ZOOM = (0.7, 1.0)
"""Side of the window that is shown, as a share of the photo's."""
ROTATION_DEGREES = 12.0
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.3
"""Largest change, as a share."""

Square = NDArray[np.uint8]


def key_of(square: Square) -> bytes:
    """What a photo's views are drawn from: the first half of the SHA-256 of its pixels."""
    return bytes.fromhex(artifacts.sha256(np.ascontiguousarray(square).data))[:16]


def view(square: Square, key: bytes, number: int) -> Square:
    """One view: uint8 (S, S, 3) to the same shape.

    Args:
        square: the photo.
        key: of ``key_of``.
        number: 0 is the photo as it is; all others are drawn.
    """
    if number == 0:
        return square
    random = np.random.default_rng([VERSION, number, *key])
    image = Image.fromarray(square)
    image = image.transform(image.size, Image.Transform.AFFINE, _affine(random, len(square)), Image.Resampling.BILINEAR)
    for enhancer, most in (
        (ImageEnhance.Brightness, BRIGHTNESS),
        (ImageEnhance.Contrast, CONTRAST),
        (ImageEnhance.Color, SATURATION),
    ):
        image = enhancer(image).enhance(random.uniform(1 - most, 1 + most))
    return np.asarray(image)


def _affine(random: np.random.Generator, side: int) -> tuple[float, ...]:
    """From a pixel of the view to its place in the photo: a window, turned and perhaps mirrored, inside the photo."""
    angle = math.radians(random.uniform(-ROTATION_DEGREES, ROTATION_DEGREES))
    extent = abs(math.cos(angle)) + abs(math.sin(angle))  # of a turned square of side 1, so that no corner is empty
    zoom = random.uniform(*ZOOM) / extent
    free = (1 - zoom * extent) * side / 2
    middle_x, middle_y = side / 2 + random.uniform(-free, free, 2)
    across = -zoom if random.random() < 0.5 else zoom
    a, b = across * math.cos(angle), -zoom * math.sin(angle)
    d, e = across * math.sin(angle), zoom * math.cos(angle)
    half = side / 2
    return a, b, middle_x - a * half - b * half, d, e, middle_y - d * half - e * half
