"""Find whether a classifier gives probabilities or logits, and build the network that gives logits / temperature."""

from typing import Any

import keras
import numpy as np
from keras import layers

from pipeline.errors import ExportError

RESHAPING = (layers.Flatten, layers.Reshape, layers.Dropout, layers.Identity)
"""Layers that may follow a softmax without changing its values at inference."""
WEIGHTED = (layers.Dense, layers.Conv2D)
"""Layers whose weights can hold a factor of their output."""


ACTIVATIONS = ("linear", "softmax", "log_softmax", "sigmoid")
OPERATIONS = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}
"""Activations by the class names of the layers and ``keras.ops`` operations that compute them."""


def last_activation(model: keras.Model) -> str:
    """Return the model's last activation, one of ``ACTIVATIONS``; ``linear`` if it gives logits.

    Raises:
        ExportError: the model ends in another activation, whose outputs are neither probabilities nor logits.
    """
    operation, sources = origin(model.outputs[0])
    while _passes_on(operation) and sources:
        operation, sources = origin(sources[0])
    if isinstance(operation, keras.Model):
        return last_activation(operation)
    activation = _activation(operation)
    if activation not in ACTIVATIONS:
        raise ExportError(
            f"the model ends in the activation {activation} (layer {operation.name}); "
            "expected softmax over the classes, sigmoid, or logits: train it with one of these at its end"
        )
    return activation


def output_kind(model: keras.Model) -> str:
    """Return ``softmax``, ``logits``, or ``sigmoid`` for a multi-label model, which gives independent probabilities.

    Raises:
        ExportError: the model ends in another activation, whose outputs are none of these.
    """
    activation = last_activation(model)
    return activation if activation in ("softmax", "sigmoid") else "logits"


def label_model(model: keras.Model) -> keras.Model:
    """Make a multi-label model: add sigmoids to a model of logits; a model of sigmoids is unchanged.

    Raises:
        ExportError: the model ends in a softmax, so that its classes exclude each other, or has a single output.
    """
    if model.output_shape[-1] == 1:
        raise ExportError(
            "its one output tells two classes apart; several labels need an output for each: leave --multi-label out"
        )
    activation = last_activation(model)
    if activation == "sigmoid":
        return model
    if activation != "linear":
        raise ExportError(
            f"it ends in {activation}, so its classes exclude each other; several labels need logits or a sigmoid for "
            "each: leave --multi-label out"
        )
    last = origin(model.outputs[0])[0].name
    sigmoids = layers.Activation("sigmoid", dtype="float32", name=f"{last}_sigmoids")
    return keras.Model(model.inputs, sigmoids(model.outputs[0]))


def logits_model(model: keras.Model, temperature: float = 1.0) -> keras.Model:
    """Cut the network after its logits, divided by ``temperature``; it shares all layers but the last with ``model``.

    The last layer is rebuilt with a linear activation and with weights divided by ``temperature``. If it has no
    such weights, a multiplication is added at the end.
    """
    if last_activation(model) != "linear":
        return keras.Model(model.inputs, _logits(model.outputs[0], temperature))
    return model if temperature == 1 else keras.Model(model.inputs, _divided(model.outputs[0], temperature))


def two_class_model(model: keras.Model) -> keras.Model:
    """Return the two-class logits [0, z] of a model with one output, z or its sigmoid: softmax([0, z]) is equal.

    The last dense layer gets a column of zeros; if the model does not end in a dense layer, one is added.
    """
    single = logits_model(model)
    operation, sources = origin(single.outputs[0])
    if type(operation) is layers.Dense:
        weights, source = operation.get_weights(), sources[0]
    else:
        weights, source = [np.ones((1, 1), np.float32)], single.outputs[0]
    pair = layers.Dense(2, use_bias=len(weights) > 1, name=f"{operation.name}_two_classes")
    result = pair(source)
    pair.set_weights([np.concatenate([np.zeros_like(weight), weight], axis=-1) for weight in weights])
    return keras.Model(single.inputs, result)


def _logits(probabilities: Any, temperature: float) -> Any:
    operation, sources = origin(probabilities)
    if _passes_on(operation):
        return operation(_logits(sources[0], temperature))
    if isinstance(operation, keras.Model):
        return logits_model(operation, temperature)(sources[0])
    if isinstance(operation, layers.Softmax | layers.Activation) or type(operation).__name__ in OPERATIONS:
        return _divided(sources[0], temperature)
    if type(operation) in WEIGHTED:
        return _linear(operation, sources[0], temperature)
    return _divided(_linear(operation, sources[0], 1.0), temperature)


def _divided(tensor: Any, temperature: float) -> Any:
    operation, sources = origin(tensor)
    if _passes_on(operation) or isinstance(operation, layers.GlobalAveragePooling2D):
        return operation(_divided(sources[0], temperature))
    if isinstance(operation, keras.Model):
        return keras.Model(operation.inputs, _divided(operation.outputs[0], temperature))(sources[0])
    if type(operation) in WEIGHTED and _activation(operation) == "linear":
        return _linear(operation, sources[0], temperature)
    return tensor if temperature == 1 else tensor * (1 / temperature)


def _linear(layer: Any, source: Any, divisor: float) -> Any:
    """Return the output of a layer for ``source`` without its activation, divided by ``divisor``."""
    linear = type(layer).from_config({**layer.get_config(), "activation": "linear"})
    result = linear(source)
    linear.set_weights([weight if divisor == 1 else weight / np.float64(divisor) for weight in layer.get_weights()])
    return result


def origin(tensor: Any) -> tuple[Any, list[Any]]:
    """Return the layer that computes a symbolic tensor, and the tensors that this layer reads."""
    history = tensor._keras_history  # noqa: SLF001 - Keras offers no public way from a tensor to its layer
    return history.operation, history.operation._inbound_nodes[history.node_index].input_tensors  # noqa: SLF001


def _passes_on(operation: Any) -> bool:
    linear = isinstance(operation, layers.Activation) and _activation(operation) == "linear"
    return linear or isinstance(operation, RESHAPING)


def _activation(operation: Any) -> str:
    """Return the name of a layer's activation; ``linear`` if it has none."""
    if type(operation).__name__ in OPERATIONS:
        return OPERATIONS[type(operation).__name__]
    if isinstance(operation, layers.ReLU | layers.LeakyReLU | layers.ELU | layers.PReLU):
        return type(operation).__name__
    function = getattr(operation, "activation", None)
    return "linear" if function is None else str(getattr(function, "__name__", type(function).__name__))
