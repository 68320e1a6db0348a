"""Folds for cross-validation: each fold has every class, and photos that look alike are in the same fold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HASH_BITS, HASH_BITS_APART = 64, 6
"""Two photos look alike if at most this many of the 64 bits of their difference hashes differ …"""
LEVELS_APART = 12.0
"""… and their thumbnails differ by at most this many of 255 levels on average: flat photos share a hash."""
THUMBNAIL = 8
CHUNK, COLUMNS = 256, 4_096
"""Photos that are compared at a time: so many with so many, whatever the number of all."""

Labels = NDArray[np.integer[Any]]


class Chains:
    """Which of N things a chain of pairs connects."""

    def __init__(self, count: int) -> None:
        self._parents = list(range(count))

    def root(self, at: int) -> int:
        """The one thing that stands for all that are connected with ``at``."""
        parents = self._parents
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    def joined(self, first: int, second: int) -> bool:
        """Whether a chain connects them."""
        return self.root(first) == self.root(second)

    def join(self, first: int, second: int) -> None:
        """Connect them."""
        self._parents[self.root(second)] = self.root(first)


def look_alike(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The group of each photo, int64 (N,): photos of one burst, and copies that were resized or stored anew.

    Photos are in one group if a chain of pairs that look alike connects them.

    Args:
        pixels: uint8 (N, S, S, 3).
    """
    hashes, thumbnails = _hashes(pixels)
    chains = Chains(len(pixels))

    def signs(start: int, count: int) -> NDArray[np.float32]:
        """±1 for each bit: the product of two is 64 less twice the bits apart."""
        return np.unpackbits(hashes[start : start + count], axis=1).astype(np.float32) * 2 - 1

    def levels_apart(first: int, second: int) -> float:
        return float(np.abs(thumbnails[first].astype(np.int16) - thumbnails[second]).mean())

    for start in range(0, len(pixels), CHUNK):
        rows = signs(start, CHUNK)
        for column in range(start, len(pixels), COLUMNS):
            close = rows @ signs(column, COLUMNS).T >= HASH_BITS - 2 * HASH_BITS_APART
            for first, second in np.add(np.argwhere(close), (start, column)):
                if second > first and not chains.joined(first, second) and levels_apart(first, second) <= LEVELS_APART:
                    chains.join(first, second)
    return np.array([chains.root(at) for at in range(len(pixels))])


def _hashes(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Difference hashes uint8 (N, 8): which of 8 x 9 gray fields are brighter than the next; and thumbnails."""
    hashes = np.zeros((len(pixels), THUMBNAIL), np.uint8)
    thumbnails = np.zeros((len(pixels), THUMBNAIL, THUMBNAIL, 3), np.uint8)
    for at, square in enumerate(pixels):
        image = Image.fromarray(np.ascontiguousarray(square))
        gray = np.asarray(image.convert("L").resize((THUMBNAIL + 1, THUMBNAIL), Image.Resampling.BOX), np.int16)
        hashes[at] = np.packbits(gray[:, 1:] > gray[:, :-1])
        thumbnails[at] = np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    return hashes, thumbnails


def stratified(labels: Labels, groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """The fold of each photo, int64 (N,), 0 to ``count`` - 1.

    Groups are dealt out, large ones first, each to the fold that has the fewest photos of its class.
    """
    random = np.random.default_rng(seed)
    names, sizes = np.unique(groups, return_counts=True)
    order = np.lexsort([random.random(len(names)), -sizes])
    filled = np.zeros((count, int(labels.max()) + 1))
    folds = np.zeros(len(labels), np.int64)
    for name in names[order]:
        members = np.flatnonzero(groups == name)
        label = np.bincount(labels[members]).argmax()
        fold = min(range(count), key=lambda fold: (filled[fold, label], filled[fold].sum()))
        folds[members] = fold
        np.add.at(filled[fold], labels[members], 1)
    return folds
