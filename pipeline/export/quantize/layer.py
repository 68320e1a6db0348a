"""A layer to quantize."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A computing node and the nodes behind it that pass its values on: they are int8 or float together.

    Attributes:
        output: name of the tensor that its activation leaves on; the layer's own name.
        nodes: the operators that the converter must leave in float.
        producers: positions of the layers that feed it.
        multiplications: how many it does for one image; 0 where it has no weights.
    """

    output: str
    nodes: tuple[str, ...]
    producers: tuple[int, ...]
    multiplications: int = 0


def float_share(layers: Iterable[Layer], in_float: Iterable[Layer]) -> float:
    """Share (0-1) of a network's multiplications that are done in float where some of its layers are."""
    total = sum(layer.multiplications for layer in layers)
    return sum(layer.multiplications for layer in in_float) / max(total, 1)
