"""Translate the configuration of a model that Keras 2 saved (TensorFlow 2.15 and before, tf_keras) to Keras 3.

Both store the weights in the order of the layers, so the weights need no change. In the layers of image classifiers
these entries differ: ``batch_input_shape``, ``groups`` of a depthwise convolution, ``alpha`` of LeakyReLU, ``rng_type``
of random layers, ``/`` in names, the module of Functional. In Keras 2, operators between layers, such as
``image / 127.5 - 1``, are layers of the class TFOpLambda, and ``image[..., ::-1]`` is a SlicingOpLambda; they become
the layer or operation of Keras 3 that computes the same, if there is one.
"""

from collections.abc import Iterator
from typing import Any

Config = dict[str, Any]

MAX_DEPTH = 100
"""Maximum nesting of the configuration; a model in a model takes five levels."""
OPERATOR_LAYERS = ("TFOpLambda", "SlicingOpLambda")
MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}
RENAMED = {"LeakyReLU": ("alpha", "negative_slope"), "InputLayer": ("batch_input_shape", "batch_shape")}
UNKNOWN = {
    "DepthwiseConv2D": ("groups",),
    "SeparableConv2D": ("groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
}
"""Entries of Keras 2 without meaning: a depthwise convolution has no other groups, a separable one no ``kernel``."""
NESTED = ("Functional", "Sequential")
ACTIVATIONS = {
    "nn.relu": "relu",
    "nn.relu6": "relu6",
    "nn.silu": "silu",
    "nn.gelu": "gelu",
    "nn.sigmoid": "sigmoid",
    "math.sigmoid": "sigmoid",
    "math.tanh": "tanh",
    "nn.softmax": "softmax",
}
AXES = 4
"""Number of axes of a batch of images."""
ELLIPSIS = {"class_name": "__ellipsis__"}
EVERYTHING = {"start": None, "stop": None, "step": None}
MERGING = {
    "math.add": "Add",
    "__operators__.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
}
"""Operators on two tensors, and the layer that computes the same."""


def as_keras3(config: Any) -> Any:
    """Translate a copy of a Keras 2 configuration at every depth; entries without a counterpart are kept."""
    mapped = _map(config)
    configs = [entry["config"] for entry in entries(mapped) if isinstance(entry.get("config"), dict)]
    slashed = {name for config in configs if "/" in (name := str(config.get("name")))}
    return _without_slashes(mapped, slashed) if slashed else mapped


def entries(config: Any) -> Iterator[Config]:
    """Yield every object in a configuration that has a ``class_name``.

    Raises:
        ValueError: the configuration is nested deeper than ``MAX_DEPTH``.
    """
    level = [config]
    for _ in range(MAX_DEPTH):
        objects = [each for each in level if isinstance(each, dict)]
        yield from (each for each in objects if isinstance(each.get("class_name"), str))
        lists = [each for each in level if isinstance(each, list)]
        level = [inner for each in objects for inner in each.values()] + [inner for each in lists for inner in each]
        if not level:
            return
    raise ValueError(f"its layers are nested deeper than {MAX_DEPTH}")


def _map(value: Any) -> Any:
    if isinstance(value, list):
        return [_map(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    entry = {key: _map(part) for key, part in value.items()}
    if not isinstance(entry.get("class_name"), str) or not isinstance(entry.get("config"), dict):
        return entry
    if entry["class_name"] == "Policy":  # a layer's dtype policy
        return entry["config"].get("name")
    if entry["class_name"] == "TFOpLambda":
        entry = _as_layer(entry)
    elif entry["class_name"] == "SlicingOpLambda":
        entry = _as_slicing(entry)
    kind = entry["class_name"]
    entry["config"] = _map_entries(kind, entry["config"])
    if "module" in entry and kind in MODULES:
        entry["module"] = MODULES[kind]
    return entry


def _map_entries(kind: str, config: Config) -> Config:
    unknown = (*UNKNOWN.get(kind, ()), "rng_type")
    config = {name: value for name, value in config.items() if name not in unknown}
    old, new = RENAMED.get(kind, ("", ""))
    if old in config:
        config[new] = config.pop(old)
    match kind, config:
        case "BatchNormalization", {"axis": [int(axis)]}:
            config["axis"] = axis
        case "Sequential", {"layers": list(layers)}:
            config["layers"] = _with_input(layers)
        case "Functional", {"layers": list(layers)}:
            _refer_to_calls(config, layers)
    return config


def _refer_to_calls(config: Config, layers: list[Any]) -> None:
    """Renumber the calls of nested models from 0, and unwrap a list of one input or output; in place.

    Keras 2 counts a model's inner graph as its call 0. Keras 3 does so only for Functional models, and only in the
    names of the inputs and outputs of the enclosing model.
    """
    models = {layer.get("name"): layer.get("class_name") for layer in layers if isinstance(layer, dict)}
    for layer in layers:
        if isinstance(layer, dict) and "inbound_nodes" in layer:
            layer["inbound_nodes"] = _lower(layer["inbound_nodes"], models, NESTED)
    for name in ("input_layers", "output_layers"):
        ends = _lower(config.get(name), models, ("Sequential",))
        config[name] = ends[0] if isinstance(ends, list) and len(ends) == 1 else ends


def _lower(value: Any, models: dict[Any, Any], kinds: tuple[str, ...]) -> Any:
    """Lower ``call`` by one, in a copy, in references ``[layer, call, tensor, …]`` to models of these kinds."""
    match value:
        case [str(name), int(call), int(tensor), *rest] if call > 0 and models.get(name) in kinds:
            return [name, call - 1, tensor, *(_lower(part, models, kinds) for part in rest)]
        case list():
            return [_lower(part, models, kinds) for part in value]
        case dict():
            return {key: _lower(part, models, kinds) for key, part in value.items()}
    return value


def _with_input(layers: list[Any]) -> list[Any]:
    """Return the layers of a Sequential model, with an input layer of the first layer's ``batch_input_shape``."""
    first = layers[0].get("config") if layers and isinstance(layers[0], dict) else None
    shapes = [
        layer["config"].pop("batch_input_shape", None)
        for layer in layers
        if isinstance(layer, dict) and isinstance(layer.get("config"), dict)
    ]
    if first is None or not shapes or shapes[0] is None:
        return layers
    config = {"batch_shape": shapes[0], "dtype": "float32", "name": f"{first.get('name')}_input"}
    place = {"module": "keras.layers", "registered_name": None} if "module" in layers[0] else {}
    return [{**place, "class_name": "InputLayer", "config": config}, *layers]


def _as_layer(entry: Config) -> Config:
    """Return the layer that computes the same as an operator; the operator itself if there is none."""
    nodes, own = entry.get("inbound_nodes"), entry["config"]
    if not isinstance(nodes, list) or len(nodes) != 1:
        return entry
    match nodes[0]:
        case [str(source), int(node), int(tensor), dict(arguments)] if not source.startswith("_CONSTANT"):
            read = [source, node, tensor, {}]
        case _:
            return entry
    function, other = own.get("function"), arguments.get("y")
    inputs, options = [read], dict[str, Any]()
    if function in ACTIVATIONS:
        kind, options = "Activation", {"activation": ACTIVATIONS[function]}
    elif isinstance(other, int | float) and (scaling := _scaling(function, other)) is not None:
        kind, options = "Rescaling", scaling
    elif isinstance(other, list) and len(other) == 3 and function in MERGING:
        kind = MERGING[function]
        inputs.append([*other, {}])
    else:
        return entry
    place = {"module": "keras.layers", "registered_name": None} if "module" in entry else {}
    config = {**{name: own[name] for name in ("name", "trainable", "dtype") if name in own}, **options}
    return {"name": entry.get("name"), **place, "class_name": kind, "config": config, "inbound_nodes": [inputs]}


def _as_slicing(entry: Config) -> Config:
    """Return Keras 3's operation for ``x[start:stop:step, …]``; the entry itself if the brackets hold anything else.

    Keras 3 lists a call's other arguments by position, Keras 2 by name. It takes the tensor's shape from the layer that
    gives it. An ellipsis is replaced by the axes of a batch of images, because Keras 3 decodes it twice when it loads
    ``.h5`` files, and fails.
    """
    match entry:
        case {
            "inbound_nodes": [[str(source), int(node), int(tensor), {"slice_spec": spec, **others}]],
            "config": {"function": "__operators__.getitem", **own},
        } if not others:
            parts = _indices(spec if isinstance(spec, list) else [spec])
        case _:
            return entry
    if parts is None:
        return entry
    origin = {"shape": [None], "dtype": "float32", "keras_history": [source, node, tensor]}
    read = {"class_name": "__keras_tensor__", "config": origin}
    return {
        "name": entry.get("name"),
        "module": "keras.src.ops.numpy",
        "class_name": "GetItem",
        "registered_name": "GetItem",
        "config": {"name": own.get("name")},
        "inbound_nodes": [{"args": [read, parts], "kwargs": {}}],
    }


def _indices(parts: list[Any]) -> list[Config] | None:
    """Return the slices in Keras 3's format; ``None`` if an index is anything else, such as a new axis or a tensor."""
    if ELLIPSIS in parts:
        place = parts.index(ELLIPSIS)
        parts = [*parts[:place], *[EVERYTHING] * (AXES + 1 - len(parts)), *parts[place + 1 :]]
    plain = all(
        isinstance(part, dict)
        and set(part) == set(EVERYTHING)
        and all(bound is None or (isinstance(bound, int) and not isinstance(bound, bool)) for bound in part.values())
        for part in parts
    )
    return [{"class_name": "__slice__", "config": part} for part in parts] if plain else None


def _scaling(function: Any, number: float) -> dict[str, float] | None:
    """Return arguments of a Rescaling layer that computes ``function(value, number)``; ``None`` if there are none."""
    match function:
        case "math.truediv" | "math.divide" if number != 0:
            return {"scale": 1 / number, "offset": 0.0}
        case "math.multiply":
            return {"scale": float(number), "offset": 0.0}
        case "math.add" | "__operators__.add":
            return {"scale": 1.0, "offset": float(number)}
        case "math.subtract":
            return {"scale": 1.0, "offset": -float(number)}
    return None


def _without_slashes(value: Any, names: set[str]) -> Any:
    if isinstance(value, list):
        return [_without_slashes(entry, names) for entry in value]
    if isinstance(value, dict):
        return {key: _without_slashes(part, names) for key, part in value.items()}
    return value.replace("/", "_") if isinstance(value, str) and value in names else value
