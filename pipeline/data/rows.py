"""Large arrays in little memory: rows that are read on demand, and arrays in files."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.data.cifar10 import cache_dir

LARGEST_COPY = 2**26
"""Bytes up to which an array is held in memory."""
CHUNK = 256


class Rows:
    """Rows of a memory-mapped array in another order, for code that reads an array (N, ...) part by part.

    Args:
        array: (M, ...), memory-mapped.
        order: int (N,), rows of it.
    """

    def __init__(self, array: NDArray[Any], order: NDArray[np.int64]) -> None:
        self._array, self._order = array, order
        self.shape, self.dtype, self.ndim = (len(order), *array.shape[1:]), array.dtype, array.ndim

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, places: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._array[self._order[places]]
        return found

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self._array[at] for at in self._order)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001 - numpy's protocol
        return np.asarray(self._array[self._order], dtype)


def rows_of(array: NDArray[np.uint8], order: Sequence[int]) -> NDArray[np.uint8]:
    """Rows of a memory-mapped array (M, ...), copied into memory where they are few."""
    places = np.array(order, np.int64)
    if _fits((len(places), *array.shape[1:]), array.dtype):
        copied: NDArray[np.uint8] = array[places]
        return copied
    return cast("NDArray[np.uint8]", Rows(array, places))


def copy_of(array: NDArray[np.uint8], order: Sequence[int]) -> NDArray[np.uint8]:
    """The same as a true array, memory-mapped where it is large."""
    copied = empty((len(order), *array.shape[1:]), np.uint8)
    for start in range(0, len(order), CHUNK):
        copied[start : start + CHUNK] = array[list(order[start : start + CHUNK])]
    return copied


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array in memory, or where it is large in a file of the cache's disk, which is gone with it."""
    if _fits(shape, dtype):
        return np.empty(shape, dtype)
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache_dir()) as file:
        file.truncate(math.prod(shape) * np.dtype(dtype).itemsize)
        return np.memmap(file, dtype, "r+", shape=shape)


def _fits(shape: tuple[int, ...], dtype: DTypeLike) -> bool:
    return math.prod(shape) * np.dtype(dtype).itemsize <= LARGEST_COPY
