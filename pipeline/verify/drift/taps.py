"""Every intermediate value of a graph, and which values each is computed from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Values = dict[str, NDArray[np.float32]]


@dataclass
class Lineage:
    """Who descends from whom, as one bit a value.

    Attributes:
        order: the position of each value in the order of computation.
    """

    order: dict[str, int] = field(default_factory=dict)
    _ancestors: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, sources: Iterable[str]) -> None:
        """Note a value after all that it is computed from; unknown sources are constants."""
        position = self.order.setdefault(name, len(self.order))
        ancestors = 1 << position
        for source in sources:
            ancestors |= self._ancestors.get(source, 0)
        self._ancestors[name] = ancestors

    def descends(self, name: str, ancestor: str) -> bool:
        """Whether ``name`` is ``ancestor`` or computed from it."""
        return bool(self._ancestors.get(name, 0) >> self.order[ancestor] & 1)


class Tap(Protocol):
    """A model file that shows its intermediate values."""

    lineage: Lineage

    def __call__(self, pixels: NDArray[np.uint8]) -> Values:
        """uint8 (N, S, S, 3) to each readable value, float32 (N, ...), dequantized; no constants."""
        ...


def dequantize(value: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any]) -> NDArray[np.float32]:
    """Integers to the numbers they stand for; one scale and zero point for the whole value."""
    result: NDArray[np.float32] = (value.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return result
