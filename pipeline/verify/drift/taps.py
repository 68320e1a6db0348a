"""The interface for reading a graph's intermediate tensors, and the record of which is computed from which."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Values = dict[str, NDArray[np.float32]]
"""Tensor name -> its value for N images, float32 (N, ...)."""


@dataclass
class Lineage:
    """The ancestors of each tensor: the tensors from which it is computed, stored as the bits of an integer.

    Attributes:
        order: tensor name -> its position in the order of computation.
    """

    order: dict[str, int] = field(default_factory=dict)
    _ancestors: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, sources: Iterable[str]) -> None:
        """Record a tensor, after all tensors that it is computed from; unknown sources are taken for constants."""
        position = self.order.setdefault(name, len(self.order))
        ancestors = 1 << position
        for source in sources:
            ancestors |= self._ancestors.get(source, 0)
        self._ancestors[name] = ancestors

    def descends(self, name: str, ancestor: str) -> bool:
        """Return whether ``name`` is ``ancestor`` or is computed from it."""
        return bool(self._ancestors.get(name, 0) >> self.order[ancestor] & 1)


class Tap(Protocol):
    """A model file whose intermediate tensors can be read."""

    lineage: Lineage

    def __call__(self, pixels: NDArray[np.uint8]) -> Values:
        """Return the readable tensors but constants, dequantized to float32 (N, ...), for uint8 (N, H, W, 3)."""
        ...
