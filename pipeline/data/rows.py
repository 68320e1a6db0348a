"""Handle large arrays with little memory: read rows on demand, and keep arrays in files."""

import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.data.cifar10 import cache_dir

LARGEST_COPY = 2**22
"""Arrays of at most this many bytes are held in memory."""
CHUNK = 256


class Rows:
    """Selected rows of a memory-mapped array, indexable like an array (N, ...), which are read when they are indexed.

    Args:
        array: (M, ...), memory-mapped.
        order: indices of the rows, int (N,).
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
    """Select rows of a memory-mapped array (M, ...): copied into memory if small, else as ``Rows``."""
    places = np.array(order, np.int64)
    if _fits((len(places), *array.shape[1:]), array.dtype):
        copied: NDArray[np.uint8] = array[places]
        return copied
    return cast("NDArray[np.uint8]", Rows(array, places))


def copy_of(array: NDArray[np.uint8], order: Sequence[int]) -> NDArray[np.uint8]:
    """Select rows of a memory-mapped array (M, ...) as a NumPy array, which is itself memory-mapped if large."""
    copied = empty((len(order), *array.shape[1:]), np.uint8)
    for start in range(0, len(order), CHUNK):
        copied[start : start + CHUNK] = array[list(order[start : start + CHUNK])]
    return copied


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Make an array in memory or, if it is large, in a temporary file beside the cache, deleted with the array."""
    if _fits(shape, dtype):
        return np.empty(shape, dtype)
    cache_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=cache_dir()) as file:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if sys.platform == "linux":
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error here; later it would end the process
        else:
            file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)


def _fits(shape: tuple[int, ...], dtype: DTypeLike) -> bool:
    return math.prod(shape) * np.dtype(dtype).itemsize <= LARGEST_COPY
