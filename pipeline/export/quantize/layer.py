"""A layer as quantisation sees it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """A computing node and the nodes behind it that pass its values on: they are int8 or float together.

    Attributes:
        output: name of the tensor that its activation leaves on; the layer's own name.
        nodes: what the converter must be told to leave alone.
        producers: positions of the layers that feed it.
    """

    output: str
    nodes: tuple[str, ...]
    producers: tuple[int, ...]
