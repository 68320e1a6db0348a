"""Trained network -> deployed network: linear layers that follow or stand beside each other become one.

Batch normalization after a bias-free linear layer is a scale of its kernel and a bias (Jacob et al., 2018, section
3.2). Parallel convolutions of the same input sum to the convolution with the sum of their kernels, a smaller kernel
standing where its window lies in the larger one (Ding et al., 2021, section 3.3).
"""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.models.build import build

Array = NDArray[np.float64]


def fold(trained: keras.Model) -> keras.Model:
    """The deployed network computing exactly what ``trained`` computes at inference, softmax included.

    Args:
        trained: a model of ``build_trainable``; left as it is.
    """
    sources = {layer.name: layer for layer in trained.layers}
    height, width = map(int, trained.input_shape[1:3])
    deployed = build(trained.name, int(trained.output_shape[-1]), height, width)
    for target in deployed.layers:
        if not target.weights:
            continue
        if target.name in sources:  # the last layer is the same in both
            target.set_weights(sources[target.name].get_weights())
        else:
            target.set_weights(_fold_unit(sources, target))
    return deployed


def _fold_unit(sources: dict[str, keras.layers.Layer], target: keras.layers.Layer) -> tuple[Array, Array]:
    """Kernel and bias of ``target`` out of the branches that stand for it, in float64."""
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
    """The 1x1 convolution that changes nothing."""
    return np.eye(channels)[None, None]


def _placed(kernel: Array, target: keras.layers.Layer) -> Array:
    """``kernel`` inside a kernel of ``target``'s size that looks at the same pixels; all 'same'-padded."""
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
    """Rows, or columns, of zeros that 'same' padding sets before the image (TensorFlow: the smaller half of all)."""
    outputs = -(-extent // stride)
    return max((outputs - 1) * stride + size - extent, 0) // 2
