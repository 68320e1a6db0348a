"""Fake quantization in TensorFlow, with gradients, for quantization-aware training; rounds like the exported kernels.

Values are rounded to the nearest step, half to even, and clipped to their range, like ONNX's QuantizeLinear. The
gradient ignores the rounding (straight-through estimator; Bengio et al., 2013), and the range gets the gradient of
learned step sizes (Esser et al., 2020).
"""

import tensorflow as tf

from pipeline.documents.quantize_aware import Scheme

LEVELS = 255
"""Number of steps between the lowest and the highest of an activation's 256 values."""
SMALLEST_STEP = 1e-12


def rounded(values: tf.Tensor) -> tf.Tensor:
    """Round values half to even; the gradient is that of the identity."""
    return values + tf.stop_gradient(tf.round(values) - values)


def step_of(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Return the quantization step of an activation whose range is ``low`` (0 or less) to ``high``."""
    return tf.maximum((high - low) / LEVELS, SMALLEST_STEP)


def fake_quantize(values: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Round activations as in uint8, float32 of the same shape; 0 is represented exactly.

    Args:
        values: float32, any shape.
        low: lowest value of the range, 0 or less, a scalar.
        high: highest value of the range, 0 or more, a scalar.
    """
    step = step_of(low, high)
    zero = rounded(-low / step)
    levels = tf.clip_by_value(rounded(values / step) + zero, 0.0, float(LEVELS))
    return (levels - zero) * step


def weight_step(kernel: tf.Tensor, scheme: Scheme, axes: tuple[int, ...]) -> tf.Tensor:
    """Return the quantization step of each weight, broadcastable to the kernel, without gradient.

    Args:
        kernel: a layer's kernel.
        scheme: how weights are rounded.
        axes: the axes within one output channel; see ``keras_layers.channel_axes``.
    """
    magnitude = tf.reduce_max(tf.abs(kernel), axis=axes if scheme.per_channel else None, keepdims=True)
    return tf.stop_gradient(tf.maximum(magnitude / scheme.largest, SMALLEST_STEP))


def fake_quantize_weights(kernel: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Round weights as in int8 with zero point 0, float32 of the same shape."""
    return rounded(kernel / step) * step
