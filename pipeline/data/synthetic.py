"""Generate pictures that show no class: plain colors, noise, stripes and clouds; the same ones each time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Size = tuple[int, int]
COUNT = 100
"""Number of pictures of each kind."""
CLOUD_CELLS = 4
"""A cloud interpolates between this many random colors in each direction."""


def textures(size: Size, count: int = COUNT) -> dict[str, Pixels]:
    """Return kind -> pictures, uint8 (count, H, W, 3).

    Args:
        size: height and width in pixels.
        count: number of pictures of each kind.
    """
    painters: dict[str, Callable[[Size, int, np.random.Generator], NDArray[np.floating]]] = {
        "one color": _plain,
        "noise": _noise,
        "stripes": _stripes,
        "clouds": _clouds,
    }
    return {
        kind: np.clip(paint(size, count, np.random.default_rng(seed)), 0, 255).astype(np.uint8)
        for seed, (kind, paint) in enumerate(painters.items())
    }


def _plain(size: Size, count: int, random: np.random.Generator) -> NDArray[np.floating]:
    return np.broadcast_to(random.uniform(0, 256, (count, 1, 1, 3)), (count, *size, 3))


def _noise(size: Size, count: int, random: np.random.Generator) -> NDArray[np.floating]:
    return random.uniform(0, 256, (count, *size, 3))


def _stripes(size: Size, count: int, random: np.random.Generator) -> NDArray[np.floating]:
    """Paint 2 to 12 waves between two colors, in a random direction."""
    rows, columns = np.meshgrid(*(np.linspace(0, 1, side) for side in size), indexing="ij")
    angle, waves, phase = (random.uniform(0, high, (count, 1, 1)) for high in (np.pi, 10, 2 * np.pi))
    along = np.cos(angle) * columns + np.sin(angle) * rows
    share = (1 + np.sin(2 * np.pi * (2 + waves) * along + phase))[..., np.newaxis] / 2
    one, other = random.uniform(0, 256, (2, count, 1, 1, 3))
    waved: NDArray[np.floating] = one * share + other * (1 - share)
    return waved


def _clouds(size: Size, count: int, random: np.random.Generator) -> NDArray[np.floating]:
    """Paint a grid of random colors, interpolated between them."""
    cells = random.uniform(0, 256, (count, CLOUD_CELLS, CLOUD_CELLS, 3))
    for axis, side in enumerate(size, start=1):
        places = np.linspace(0, CLOUD_CELLS - 1, side)
        before = np.minimum(places.astype(int), CLOUD_CELLS - 2)
        share = (places - before).reshape([-1 if other == axis else 1 for other in range(4)])
        cells = cells.take(before, axis) * (1 - share) + cells.take(before + 1, axis) * share
    return cells
