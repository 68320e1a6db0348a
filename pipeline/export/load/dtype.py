"""Convert a classifier to another floating-point type."""

from typing import Any

import keras


def in_dtype(model: keras.Model, dtype: str) -> keras.Model:
    """Return a copy of a model whose layers, nested ones included, store weights and compute in ``dtype``."""

    def copied(layer: Any) -> Any:
        return type(layer).from_config(_with_dtype(layer.get_config(), dtype))

    twin = keras.models.clone_model(model, clone_function=copied, recursive=True)
    twin.set_weights(model.get_weights())
    return twin


def computes_in(model: keras.Model, dtype: str) -> bool:
    """Return whether every layer stores its weights and computes in ``dtype``; the input may have another."""
    flat = model._flatten_layers(include_self=False)  # noqa: SLF001 - no public way to the layers of wrappers
    computing = [layer for layer in flat if not isinstance(layer, keras.Model | keras.layers.InputLayer)]
    return all(layer.compute_dtype == layer.variable_dtype == dtype for layer in computing)


def _with_dtype(config: Any, dtype: str) -> Any:
    """Return a copy of a configuration in which all layers, wrapped ones included, have ``dtype``."""
    if isinstance(config, list):
        return [_with_dtype(entry, dtype) for entry in config]
    if not isinstance(config, dict):
        return config
    return {name: dtype if name == "dtype" else _with_dtype(value, dtype) for name, value in config.items()}
