"""The networks that ``pack`` describes, in PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - its usual name

Tensor = Any
Array = NDArray[np.float32]
Layer = dict[str, Any]


class Network(torch.nn.Module):  # type: ignore[misc] # PyTorch is not installed here
    """The layers of ``layers_of``: float images (N, 3, H, W) in 0-255 to float32 logits (N, C)."""

    def __init__(self, layers: list[Layer], weights: dict[str, Array]) -> None:
        super().__init__()
        self.layers = layers
        self.names = {path: f"w{index}" for index, path in enumerate(p for layer in layers for p in layer["weights"])}
        for layer in layers:
            for path in layer["weights"]:
                value = torch.from_numpy(_from_keras(weights[path], layer))
                if path.endswith(("moving_mean", "moving_variance")):
                    self.register_buffer(self.names[path], value)
                else:
                    self.register_parameter(self.names[path], torch.nn.Parameter(value))

    def forward(self, images: Tensor) -> Tensor:
        """Compute float32 logits (N, C) of float images (N, 3, H, W) in 0-255."""
        outputs = {self.layers[0]["name"]: images / 255}
        for layer in self.layers[1:]:
            inputs = [outputs[name] for name in layer["inputs"]]
            weights = [getattr(self, self.names[path]) for path in layer["weights"]]
            outputs[layer["name"]] = KINDS[layer["kind"]](self, layer, inputs, weights)
        return outputs[self.layers[-1]["name"]].float()

    def to_keras(self, values: dict[str, Tensor]) -> dict[str, Array]:
        """Convert values by name of parameter or buffer to arrays by path, in Keras's layout."""
        return {
            path: _to_keras(values[self.names[path]].cpu().numpy(), layer)
            for layer in self.layers
            for path in layer["weights"]
        }


def _from_keras(value: Array, layer: Layer) -> Array:
    """Convert kernels (K, K, I, O), depthwise kernels (K, K, C, 1) and matrices (I, O) to PyTorch's layout."""
    if value.ndim == 4:
        value = value.transpose((2, 3, 0, 1) if layer["depthwise"] else (3, 2, 0, 1))
    return np.ascontiguousarray(value.T if value.ndim == 2 else value)


def _to_keras(value: Array, layer: Layer) -> Array:
    if value.ndim == 4:
        return value.transpose((2, 3, 0, 1) if layer["depthwise"] else (2, 3, 1, 0))
    return value.T if value.ndim == 2 else value


def _conv(_: Network, layer: Layer, inputs: list[Tensor], weights: list[Tensor]) -> Tensor:
    x, kernel = inputs[0], weights[0]
    padded = F.pad(x, [*_same(x.shape[3], kernel, layer), *_same(x.shape[2], kernel, layer)])
    result = F.conv2d(padded, *weights, stride=layer["strides"], groups=x.shape[1] if layer["depthwise"] else 1)
    return F.relu(result) if layer["relu"] else result


def _same(extent: int, kernel: Tensor, layer: Layer) -> tuple[int, int]:
    """Return the zeros before and after an axis, as in TensorFlow's 'same' padding: the smaller half before."""
    strides = layer["strides"]
    whole = max((-(-extent // strides) - 1) * strides + kernel.shape[-1] - extent, 0)
    return whole // 2, whole - whole // 2


def _dense(_: Network, layer: Layer, inputs: list[Tensor], weights: list[Tensor]) -> Tensor:
    result = F.linear(inputs[0], *weights)
    return F.relu(result) if layer["relu"] else result


def _norm(network: Network, layer: Layer, inputs: list[Tensor], weights: list[Tensor]) -> Tensor:
    gamma, beta, mean, variance = weights if layer["scale"] else (None, *weights)
    momentum = 1 - layer["momentum"]
    return F.batch_norm(inputs[0], mean, variance, gamma, beta, network.training, momentum, layer["epsilon"])


KINDS: dict[str, Callable[[Network, Layer, list[Tensor], list[Tensor]], Tensor]] = {
    "conv": _conv,
    "dense": _dense,
    "norm": _norm,
    "dropout": lambda network, layer, inputs, _: F.dropout(inputs[0], layer["rate"], network.training),
    "add": lambda _network, _layer, inputs, _: sum(inputs[1:], inputs[0]),
    "pool": lambda _network, _layer, inputs, _: F.max_pool2d(inputs[0], 2),
    "relu": lambda _network, _layer, inputs, _: F.relu(inputs[0]),
    "flatten": lambda _network, _layer, inputs, _: inputs[0].permute(0, 2, 3, 1).flatten(1),
    "mean": lambda _network, _layer, inputs, _: inputs[0].mean((2, 3)),
    "largest": lambda _network, _layer, inputs, _: inputs[0].amax((2, 3)),
}
