"""The Keras layers whose int8 form is known, and the computation of linear layers with folded batch normalization."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import layers

LINEAR = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
VIEWS = (
    layers.MaxPooling2D,
    layers.GlobalMaxPooling2D,
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianNoise,
    layers.GaussianDropout,
)
"""Layers that pass on or select values: their output has the quantization range of their input."""
COMPUTING = (
    layers.Add,
    layers.Multiply,
    layers.Concatenate,
    layers.GlobalAveragePooling2D,
    layers.AveragePooling2D,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
)
FUNCTIONS = ("Add", "Multiply", "Relu", "Relu6", "HardSigmoid", "HardSwish", "Sigmoid", "Silu", "LeakyRelu")
"""Known functions of ``keras.ops``, by the names of their operation classes, which Keras does not export."""
RELUS = {"relu": float("inf"), "relu6": 6.0}
"""Activations that are merged into the layer before them, and the upper bound of each."""


def activation(operation: Any) -> str:
    """Return the name of a layer's activation; ``linear`` if it has none."""
    if isinstance(operation, layers.ReLU) and not (operation.negative_slope or operation.threshold):
        return {None: "relu", 6.0: "relu6"}.get(operation.max_value, "clipped relu")
    if type(operation).__name__ in ("Relu", "Relu6"):
        return type(operation).__name__.lower()
    function = getattr(operation, "activation", None)
    return "linear" if function is None else str(getattr(function, "__name__", type(function).__name__))


def is_identity(operation: Any) -> bool:
    """Return whether a layer is an Activation layer with the linear activation."""
    return isinstance(operation, layers.Activation) and activation(operation) == "linear"


def is_relu(operation: Any) -> bool:
    """Return whether a layer computes nothing but a ReLU or ReLU6."""
    return type(operation) not in LINEAR and activation(operation) in RELUS


def has_inner_point(operation: Any) -> bool:
    """Return whether a linear layer is rounded before its activation too: all but ReLU are separate operators."""
    return type(operation) in LINEAR and activation(operation) not in ("linear", *RELUS)


def is_known(operation: Any) -> bool:
    """Return whether the int8 form of a layer that computes new values is known."""
    if type(operation) in LINEAR:
        return bool(getattr(operation, "data_format", "channels_last") == "channels_last")
    return type(operation) in COMPUTING or type(operation).__name__ in FUNCTIONS


def channel_axes(operation: Any) -> tuple[int, ...]:
    """Return the axes of a kernel over which the weights of one output channel extend."""
    return {layers.Dense: (0,), layers.DepthwiseConv2D: (0, 1)}.get(type(operation), (0, 1, 2))


def folded(operation: Any, norm: Any) -> tuple[tf.Tensor, tf.Tensor]:
    """Fold the batch normalization that follows, if there is one, into kernel and bias of a linear layer."""
    kernel = tf.convert_to_tensor(operation.kernel.value)
    channels = kernel.shape[-1] * (kernel.shape[-2] if type(operation) is layers.DepthwiseConv2D else 1)
    bias = tf.convert_to_tensor(operation.bias.value) if operation.use_bias else tf.zeros([channels])
    if norm is None:
        return kernel, bias
    factor = norm_factor(operation, norm)
    bias = (bias - norm.moving_mean.value) * tf.reshape(factor, [-1])
    bias = bias + norm.beta.value if norm.center else bias
    return kernel * factor, bias


def norm_factor(operation: Any, norm: Any) -> tf.Tensor:
    """Return batch normalization's factor of each output channel, broadcastable to the kernel of the layer before."""
    factor = tf.math.rsqrt(norm.moving_variance.value + norm.epsilon)
    factor = factor * norm.gamma.value if norm.scale else factor
    depthwise = type(operation) is layers.DepthwiseConv2D
    return tf.reshape(factor, operation.kernel.shape[-2:] if depthwise else [-1])


def apply_kernel(operation: Any, value: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Compute a linear layer for ``value`` with another kernel, without bias and activation."""
    if type(operation) is layers.Dense:
        return tf.linalg.matmul(value, kernel)
    convolve: Callable[..., tf.Tensor] = (
        keras.ops.depthwise_conv if type(operation) is layers.DepthwiseConv2D else keras.ops.conv
    )
    return convolve(
        value,
        kernel,
        strides=operation.strides,
        padding=operation.padding,
        data_format="channels_last",
        dilation_rate=operation.dilation_rate,
    )


def activated(operation: Any, value: tf.Tensor) -> tf.Tensor:
    """Apply the activation of a linear layer to ``value``."""
    return operation.activation(value) if operation.activation is not None else value
