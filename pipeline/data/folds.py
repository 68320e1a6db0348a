"""Folds for cross-validation: each fold has every class, and photos that look alike are in the same fold."""

from array import array
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.data.rows import empty

HASH_BITS, HASH_BITS_APART = 64, 6
"""Two photos look alike if at most this many of the 64 bits of their difference hashes differ …"""
LEVELS_APART = 12.0
"""… and their thumbnails differ by at most this many of 255 levels on average: flat photos share a hash."""
THUMBNAIL = 8
CHUNK, COLUMNS = 256, 4_096
"""Photos are compared in blocks of CHUNK x COLUMNS pairs, which bounds the memory."""

Labels = NDArray[np.integer[Any]]


class UnionFind:
    """Groups of N items that are connected by a chain of pairs."""

    def __init__(self, count: int) -> None:
        self._parents = array("q", range(count))

    def root(self, at: int) -> int:
        """Return the representative of the group of item ``at``."""
        parents = self._parents
        while parents[at] != at:
            parents[at] = parents[parents[at]]
            at = parents[at]
        return at

    def joined(self, first: int, second: int) -> bool:
        """Return whether two items are in the same group."""
        return self.root(first) == self.root(second)

    def join(self, first: int, second: int) -> None:
        """Merge the groups of two items."""
        self._parents[self.root(second)] = self.root(first)


def look_alike(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Group photos that look alike, such as those of one burst and copies that were resized or compressed again.

    Photos are in the same group if a chain of pairs that look alike connects them.

    Args:
        pixels: uint8 (N, S, S, 3).

    Returns:
        Number of each photo's group, int64 (N,).
    """
    hashes, thumbnails = _hashes(pixels)
    groups = UnionFind(len(pixels))

    def signs(start: int, count: int) -> NDArray[np.float32]:
        """Return ±1 for each bit: the dot product of two hashes is 64 minus twice the number of differing bits."""
        return np.unpackbits(hashes[start : start + count], axis=1).astype(np.float32) * 2 - 1

    def levels_apart(first: int, second: int) -> float:
        return float(np.abs(thumbnails[first].astype(np.int16) - thumbnails[second]).mean())

    for start in range(0, len(pixels), CHUNK):
        rows = signs(start, CHUNK)
        for column in range(start, len(pixels), COLUMNS):
            close = rows @ signs(column, COLUMNS).T >= HASH_BITS - 2 * HASH_BITS_APART
            for first, second in np.add(np.argwhere(close), (start, column)):
                if second > first and not groups.joined(first, second) and levels_apart(first, second) <= LEVELS_APART:
                    groups.join(first, second)
    return np.fromiter(map(groups.root, range(len(pixels))), np.int64, len(pixels))


def _hashes(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return difference hashes, uint8 (N, 8), and thumbnails, uint8 (N, 8, 8, 3).

    A hash has 64 bits: whether each cell of an 8x9 grayscale thumbnail is darker than the next cell in its row.
    """
    hashes = np.zeros((len(pixels), THUMBNAIL), np.uint8)
    thumbnails = empty((len(pixels), THUMBNAIL, THUMBNAIL, 3), np.uint8)
    for at, square in enumerate(pixels):
        image = Image.fromarray(np.ascontiguousarray(square))
        gray = np.asarray(image.convert("L").resize((THUMBNAIL + 1, THUMBNAIL), Image.Resampling.BOX), np.int16)
        hashes[at] = np.packbits(gray[:, 1:] > gray[:, :-1])
        thumbnails[at] = np.asarray(image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))
    return hashes, thumbnails


def stratified(labels: Labels, groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each photo, int64 (N,), 0 to ``count`` - 1.

    Groups are assigned in the order of decreasing size, each to the fold with the fewest photos of its class.

    Args:
        labels: of each photo, (N,).
        groups: of each photo, (N,); photos of a group are in the same fold.
        count: number of folds.
        seed: of the order of groups of equal size.
    """
    random = np.random.default_rng(seed)
    by_group = np.argsort(groups, kind="stable")
    starts, sizes = np.unique(groups[by_group], return_index=True, return_counts=True)[1:]
    order = np.lexsort([random.random(len(starts)), -sizes])
    filled = np.zeros((count, int(labels.max()) + 1))
    folds = np.zeros(len(labels), np.int64)
    for at in order:
        members = by_group[starts[at] : starts[at] + sizes[at]]
        label = np.bincount(labels[members]).argmax()
        fold = min(range(count), key=lambda fold: (filled[fold, label], filled[fold].sum()))
        folds[members] = fold
        np.add.at(filled[fold], labels[members], 1)
    return folds
