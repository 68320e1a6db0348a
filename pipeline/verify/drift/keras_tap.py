"""Read the output of every layer of the Keras reference."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import sigmoid, softmax
from pipeline.verify.drift.taps import Values

IMAGE, PROBABILITIES = "image", "probabilities"
VIEWS = (layers.Flatten, layers.Reshape, layers.Dropout, layers.Identity, layers.SpatialDropout2D)
ABSORBING = (
    layers.BatchNormalization,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.PReLU,
    layers.Multiply,
    layers.Rescaling,
    layers.Normalization,
)
ABSORBING_FUNCTIONS = {
    "Add",
    "Subtract",
    "Multiply",
    "Divide",
    "TrueDivide",
    "Relu",
    "Relu6",
    "HardSigmoid",
    "HardSwish",
}
"""Class names of ``keras.ops`` operations that converters merge with neighbors (Keras does not export the classes)."""


@dataclass(frozen=True)
class Layer:
    """One layer of the reference.

    Attributes:
        name: Keras's name, prefixed with the names of the models in which the layer is nested.
        kind: its class name.
        inputs: names of the layers that it reads; ``IMAGE`` is the scaled image.
        spatial: (H, W, C) of its output, or of its input if it only reshapes that; ``None`` for other vectors.
        view: whether it passes its input on unchanged but for the shape.
        absorbable: whether converters may fuse it with the following layers, so that its output exists nowhere.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    spatial: tuple[int, int, int] | None
    view: bool
    absorbable: bool


class KerasTap:
    """The outputs of every layer of the reference, including the layers of nested models."""

    def __init__(self, deployable: Deployable) -> None:
        self._deployable = deployable
        self._parts: list[tuple[keras.Model, list[str], str]] = []
        self._layers: dict[str, Layer] = {}
        self._operations: dict[str, Any] = {}
        self._output = self._open(deployable.network, "", IMAGE)
        self._layers[PROBABILITIES] = Layer(
            PROBABILITIES, "Sigmoid" if deployable.multi_label else "Softmax", (self._output,), None,
            view=False, absorbable=False,
        )  # fmt: skip
        self._mark_absorbable()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in the order of computation."""
        return tuple(self._layers.values())

    def __call__(self, pixels: NDArray[np.uint8]) -> Values:
        """Compute every layer's output, float32 (N, ...), for ``pixels``, uint8 (N, H, W, 3)."""
        values = {IMAGE: self._deployable.network_scaling(pixels)}
        for model, names, source in self._parts:
            results = model.predict_on_batch(values[source])
            values.update(zip(names, results if len(names) > 1 else [results], strict=True))
        last = sigmoid if self._deployable.multi_label else softmax
        values[PROBABILITIES] = last(values[self._output])
        return values

    def _open(self, model: keras.Model, prefix: str, source: str) -> str:
        """Record the layers of a model whose input is ``source``; return the name of its output."""
        # Keras has no public way from a model to its nodes; a Sequential keeps a functional model inside.
        function = getattr(model, "_functional", None) or model
        named = {id(function.inputs[0]): source}
        tensors: dict[str, Any] = {}
        position = len(self._parts)
        for depth in sorted(function._nodes_by_depth, reverse=True):  # noqa: SLF001
            for node in function._nodes_by_depth[depth]:  # noqa: SLF001
                if node.is_input:
                    continue
                operation, result = node.operation, node.outputs[0]
                inputs = tuple(named[id(tensor)] for tensor in node.input_tensors)
                name = self._free_name(f"{prefix}{operation.name}")
                if isinstance(operation, keras.Model):
                    named[id(result)] = self._open(operation, f"{name}/", inputs[0])
                    continue
                self._note(name, operation, inputs, result.shape)
                named[id(result)] = name
                tensors[name] = result
        if tensors:
            self._parts.insert(position, (keras.Model(function.inputs, list(tensors.values())), list(tensors), source))
        return named[id(function.outputs[0])]

    def _free_name(self, name: str) -> str:
        number, free = 2, name
        while free in self._layers:
            free, number = f"{name} ({number})", number + 1
        return free

    def _note(self, name: str, operation: Any, inputs: tuple[str, ...], shape: tuple[int | None, ...]) -> None:
        view = isinstance(operation, VIEWS) or (
            isinstance(operation, layers.Activation) and operation.activation is keras.activations.linear
        )
        viewed = self._layers[inputs[0]].spatial if view and inputs[0] in self._layers else None
        spatial = (int(shape[1] or 0), int(shape[2] or 0), int(shape[3] or 0)) if len(shape) == 4 else viewed
        padding = isinstance(operation, layers.ZeroPadding2D) or type(operation).__name__ == "Pad"
        self._layers[name] = Layer(name, type(operation).__name__, inputs, spatial, view, padding)
        self._operations[name] = operation

    def _mark_absorbable(self) -> None:
        readers: dict[str, list[Any]] = {}
        for layer in self._layers.values():
            for source in layer.inputs:
                readers.setdefault(source, []).append(self._operations.get(layer.name))
        for name, layer in self._layers.items():
            if _absorbs(readers.get(name, [])):
                self._layers[name] = replace(layer, absorbable=True)


def _absorbs(readers: Iterable[Any]) -> bool:
    found = list(readers)
    return bool(found) and all(
        isinstance(reader, ABSORBING)
        or (not isinstance(reader, keras.Layer) and type(reader).__name__ in ABSORBING_FUNCTIONS)
        for reader in found
    )
