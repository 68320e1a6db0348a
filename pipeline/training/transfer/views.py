"""Augmented views of photos: crop, zoom, rotation, flip and color, determined by the photo and the view's number.

A view depends only on the photo's pixels and the number, so its features can be cached.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from pipeline import artifacts

VERSION = 1
"""Increase it when views of the same number change."""

ZOOM = (0.7, 1.0)
"""Smallest and largest side of the window that is shown, as shares of the photo's side."""
ROTATION_DEGREES = 12.0
"""Largest rotation in either direction."""
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.2, 0.3
"""Largest relative changes."""

Square = NDArray[np.uint8]


def key_of(square: Square) -> bytes:
    """Return the seed of a photo's views: the first 16 bytes of the SHA-256 of its pixels."""
    return bytes.fromhex(artifacts.sha256(np.ascontiguousarray(square).data))[:16]


def view(square: Square, key: bytes, number: int) -> Square:
    """Compute one view, uint8 (S, S, 3), of a photo.

    Args:
        square: the photo, uint8 (S, S, 3).
        key: of the photo, see ``key_of``.
        number: of the view; 0 is the unchanged photo, all others are augmented.
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
    """Draw the affine map from pixels of the view to the photo: a rotated, perhaps mirrored window inside the photo."""
    angle = math.radians(random.uniform(-ROTATION_DEGREES, ROTATION_DEGREES))
    extent = abs(math.cos(angle)) + abs(math.sin(angle))  # extent of a rotated unit square, so that no corner is empty
    zoom = random.uniform(*ZOOM) / extent
    free = (1 - zoom * extent) * side / 2
    middle_x, middle_y = side / 2 + random.uniform(-free, free, 2)
    across = -zoom if random.random() < 0.5 else zoom
    a, b = across * math.cos(angle), -zoom * math.sin(angle)
    d, e = across * math.sin(angle), zoom * math.cos(angle)
    half = side / 2
    return a, b, middle_x - a * half - b * half, d, e, middle_y - d * half - e * half
