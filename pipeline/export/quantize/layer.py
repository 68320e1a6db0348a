"""The unit that a config leaves in float or quantizes: a layer of a converted graph."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A computing operator and the operators after it that only pass its values on; all are int8 or all are float.

    Attributes:
        output: name of the layer's output tensor (after ReLU or Clip), which identifies the layer.
        nodes: names of the operators that stay in float if the layer does.
        producers: indices of the layers whose outputs it reads.
        multiplications: number of multiplications by weights per image; 0 without weights.
    """

    output: str
    nodes: tuple[str, ...]
    producers: tuple[int, ...]
    multiplications: int = 0


def float_share(layers: Iterable[Layer], in_float: Iterable[Layer]) -> float:
    """Return the share (0-1) of the multiplications of all ``layers`` that belong to the layers ``in_float``."""
    total = sum(layer.multiplications for layer in layers)
    return sum(layer.multiplications for layer in in_float) / max(total, 1)
