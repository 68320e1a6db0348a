"""Describe a Keras network in JSON, so that another library can compute it: names, kinds and inputs of its layers."""

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.errors import PipelineError

Layer = dict[str, Any]
SIMPLE = {
    layers.InputLayer: "input",
    layers.ReLU: "relu",
    layers.Add: "add",
    layers.Flatten: "flatten",
    layers.GlobalAveragePooling2D: "mean",
    layers.GlobalMaxPooling2D: "largest",
}


def weights_of(network: keras.Model) -> dict[str, NDArray[np.float32]]:
    """Return path -> array of all weights, in Keras's layout."""
    return {variable.path: np.asarray(variable.value, np.float32) for variable in _weights(network)}


def _weights(network: keras.Model) -> list[keras.Variable]:
    return [variable for layer in network.layers for variable in layer.weights]


def layers_of(network: keras.Model) -> list[Layer]:
    """Describe the layers in the order of computation; the last one gives logits, whatever its activation is.

    Each description has ``name``, ``kind``, ``inputs`` (names of layers), ``weights`` (paths, in Keras's order) and the
    options of its kind.

    Raises:
        PipelineError: the program does not know a layer.
    """
    found = []
    for layer in network.layers:
        kind, options = _described(layer)
        node = layer._inbound_nodes[0]  # noqa: SLF001 - Keras has no public way to get it
        inputs = [parent.operation.name for parent in node.parent_nodes]
        paths = [variable.path for variable in layer.weights]
        found.append({"name": layer.name, "kind": kind, "inputs": inputs, "weights": paths, **options})
    return found


def _described(layer: keras.Layer) -> tuple[str, Layer]:
    """Return kind and options of a layer."""
    options: Layer = {}
    match layer:
        case layers.DepthwiseConv2D() | layers.Conv2D() if layer.padding == "same":
            depthwise = isinstance(layer, layers.DepthwiseConv2D)
            kind, options = "conv", {"strides": layer.strides[0], "depthwise": depthwise, "relu": _relu(layer)}
        case layers.Dense():
            kind, options = "dense", {"relu": _relu(layer)}
        case layers.BatchNormalization():
            kind, options = "norm", {"epsilon": layer.epsilon, "momentum": layer.momentum, "scale": layer.scale}
        case layers.Dropout():
            kind, options = "dropout", {"rate": layer.rate}
        case layers.MaxPooling2D(pool_size=(2, 2)) | layers.Lambda():  # the lambda is pipeline.models.pooling.halved
            kind = "pool"
        case _ if type(layer) in SIMPLE:
            kind = SIMPLE[type(layer)]
        case _:
            raise PipelineError(f"layer {layer.name} ({type(layer).__name__}) cannot be trained there")
    return kind, options


def _relu(layer: keras.Layer) -> bool:
    return bool(layer.activation is keras.activations.relu)
