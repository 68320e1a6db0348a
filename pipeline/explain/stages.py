"""Compute the stages of a network for one image: feature maps of decreasing size, then a vector."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.errors import ExplainError
from pipeline.export.load.deployable import Deployable

MAX_MAPS, MAX_VECTORS = 4, 1
TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Stage:
    """The output of one layer.

    Attributes:
        name: the layer's name.
        steps: descriptions of the layers since the previous stage, in order, e.g. ``convolution 3x3``.
        values: float32 (H, W, C) of feature maps, or (C,) of a vector.
    """

    name: str
    steps: tuple[str, ...]
    values: NDArray[np.float32]

    @property
    def shape(self) -> str:
        """The shape as text: ``16x16x32`` with multiplication signs, or ``500``."""
        return TIMES.join(map(str, self.values.shape))


def stages(deployable: Deployable, pixels: NDArray[np.uint8]) -> list[Stage]:
    """Compute the stages to draw for one image, uint8 (H, W, 3).

    These are the outputs of the pooling layers or, if the network has fewer than two, the last feature maps of each
    size; then the last vector before the classes.

    Raises:
        ExplainError: no layer has feature maps, for example because they are all nested in one model.
    """
    chosen = _choose(deployable.model)
    network = keras.Model(deployable.model.inputs, [layer.output for layer in chosen])
    outputs = network.predict(deployable.scaling(pixels[np.newaxis]), verbose=0)
    values = outputs if isinstance(outputs, list) else [outputs]
    steps = _steps(deployable.model, chosen)
    return [Stage(layer.name, made, value[0]) for layer, made, value in zip(chosen, steps, values, strict=True)]


def _choose(model: keras.Model) -> list[Any]:
    maps = [layer for layer in model.layers if _rank(layer) == 4 and not isinstance(layer, layers.InputLayer)]
    pooled = [layer for layer in maps if isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D)]
    last_of_size = list({tuple(layer.output.shape[1:3]): layer for layer in maps}.values())
    chosen = pooled if len(pooled) > 1 else last_of_size
    if not chosen:
        raise ExplainError(
            f"{model.name} has no layer with feature maps at its top level; expected a convolutional network whose "
            "layers are not wrapped in one"
        )
    if len(chosen) > MAX_MAPS:
        chosen = [chosen[index] for index in np.linspace(0, len(chosen) - 1, MAX_MAPS).round().astype(int)]
    vectors = [
        layer
        for layer in model.layers
        if _rank(layer) == 2 and isinstance(layer, layers.Dense | layers.GlobalAveragePooling2D)
    ]
    return [*chosen, *vectors[:-1][-MAX_VECTORS:]]


def _rank(layer: Any) -> int:
    return len(layer.output.shape)


def _steps(model: keras.Model, chosen: list[Any]) -> list[tuple[str, ...]]:
    """Describe the layers between stages; equal descriptions are counted."""
    places = [model.layers.index(layer) for layer in chosen]
    result = []
    for before, place in zip([-1, *places[:-1]], places, strict=True):
        named = [_describe(layer) for layer in model.layers[before + 1 : place + 1]]
        counted: dict[str, int] = {}
        for step in filter(None, named):
            counted[step] = counted.get(step, 0) + 1
        result.append(tuple(step if times == 1 else f"{times} {TIMES} {step}" for step, times in counted.items()))
    return result


def _describe(layer: Any) -> str:
    """Describe a layer in a few words; empty for layers without a description."""
    if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
        height, width = layer.kernel_size
        kind = "depthwise" if isinstance(layer, layers.DepthwiseConv2D) else "convolution"
        return f"{kind} {height}{TIMES}{width}"
    if isinstance(layer, layers.MaxPooling2D):
        return f"max pooling {layer.pool_size[0]}{TIMES}{layer.pool_size[1]}"
    if isinstance(layer, layers.AveragePooling2D | layers.GlobalAveragePooling2D):
        return "average pooling"
    return "dense" if isinstance(layer, layers.Dense) else ""
