"""Fold a trained network into its deployed form: consecutive or parallel linear layers become one layer.

Batch normalization after a bias-free linear layer scales its kernel and adds a bias (Jacob et al., 2018, section 3.2).
The sum of parallel convolutions of the same input is one convolution with the sum of their kernels, where a smaller
kernel is padded with zeros to the size of the larger one (Ding et al., 2021, section 3.3).
"""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.models.build import build

Array = NDArray[np.float64]


def fold(trained: keras.Model) -> keras.Model:
    """Build the deployed network that computes the softmax of what ``trained`` computes at inference.

    Args:
        trained: a model of ``build_trainable``; it is not changed.
    """
    sources = {layer.name: layer for layer in trained.layers}
    height, width = map(int, trained.input_shape[1:3])
    deployed = build(trained.name, int(trained.output_shape[-1]), height, width)
    for target in deployed.layers:
        if not target.weights:
            continue
        if target.name in sources:  # only the last layer has the same name and weights in both
            target.set_weights(sources[target.name].get_weights())
        else:
            target.set_weights(_fold_unit(sources, target))
    return deployed


def _fold_unit(sources: dict[str, keras.layers.Layer], target: keras.layers.Layer) -> tuple[Array, Array]:
    """Compute kernel and bias of ``target`` from its branches in the trained network, in float64."""
    kernel, bias = np.zeros(target.kernel.shape), np.zeros(target.bias.shape)
    depthwise = isinstance(target, layers.DepthwiseConv2D)
    index = 0
    while (norm := sources.get(f"{target.name}_norm{index}")) is not None:
        weights = [weight.astype(np.float64) for weight in norm.get_weights()]
        gamma, beta, mean, variance = weights if norm.scale else (1.0, *weights)
        scale = gamma / np.sqrt(variance + norm.epsilon)
        branch = sources.get(f"{target.name}_branch{index}")
        if branch is None:
            linear = np.ones((1, 1, len(bias), 1)) if depthwise else _identity(len(bias))
        else:
            linear = branch.get_weights()[0].astype(np.float64)
        if not isinstance(target, layers.Dense):
            linear = _placed(linear, target)
        kernel += linear * np.reshape(scale, (-1, 1) if depthwise else (-1,))  # (K, K, C, 1) or (K, K, inputs, outputs)
        bias += beta - mean * scale
        index += 1
    return kernel, bias


def _identity(channels: int) -> Array:
    """Return the kernel of the 1x1 convolution that is the identity: (1, 1, C, C)."""
    return np.eye(channels)[None, None]


def _placed(kernel: Array, target: keras.layers.Layer) -> Array:
    """Pad ``kernel`` with zeros to the size of ``target``'s kernel, so that it still sees the same pixels.

    All convolutions have 'same' padding.
    """
    size, stride, own = target.kernel_size[0], target.strides[0], kernel.shape[0]
    larger = np.zeros((size, size, *kernel.shape[2:]))
    firsts = [
        _padding_before(size, stride, extent) - _padding_before(own, stride, extent)
        for extent in map(int, target.input.shape[1:3])
    ]
    rows, columns = (slice(first, first + own) for first in firsts)
    larger[rows, columns] = kernel
    return larger


def _padding_before(size: int, stride: int, extent: int) -> int:
    """Return the number of rows (or columns) of zeros that TensorFlow's 'same' padding puts before the image."""
    outputs = -(-extent // stride)
    return max((outputs - 1) * stride + size - extent, 0) // 2
