"""int8 rounding as the exported kernels do it, in TensorFlow and with gradients: what quantization-aware training sees.

Values are rounded to the nearest step, half to even, and clipped at the ends of their range, as ONNX's QuantizeLinear
does. The gradient passes through the rounding as if it were not there (straight-through; Bengio et al., 2013), and the
range gets the gradient of learned step sizes (Esser et al., 2020).
"""

import tensorflow as tf

from pipeline.documents.quantize_aware import Scheme

LEVELS = 255
"""Steps of an activation, from the lowest to the highest of its 256 values."""
SMALLEST_STEP = 1e-12


def rounded(values: tf.Tensor) -> tf.Tensor:
    """Rounded half to even; the gradient passes unchanged."""
    return values + tf.stop_gradient(tf.round(values) - values)


def step_of(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """The step of an activation whose range is ``low`` (0 or less) to ``high``."""
    return tf.maximum((high - low) / LEVELS, SMALLEST_STEP)


def fake_quantize(values: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Activations as uint8 holds them, float32 of the same shape.

    Args:
        values: float32, any shape.
        low: lowest value, 0 or less, a scalar.
        high: highest value, 0 or more; zero has a step of its own.
    """
    step = step_of(low, high)
    zero = rounded(-low / step)
    levels = tf.clip_by_value(rounded(values / step) + zero, 0.0, float(LEVELS))
    return (levels - zero) * step


def weight_step(kernel: tf.Tensor, scheme: Scheme, axes: tuple[int, ...]) -> tf.Tensor:
    """The step of each weight, which broadcasts to the kernel; it has no gradient.

    Args:
        kernel: of a layer.
        scheme: how it is rounded.
        axes: those that make up one output channel.
    """
    magnitude = tf.reduce_max(tf.abs(kernel), axis=axes if scheme.per_channel else None, keepdims=True)
    return tf.stop_gradient(tf.maximum(magnitude / scheme.largest, SMALLEST_STEP))


def fake_quantize_weights(kernel: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
    """Weights as int8 holds them, float32 of the same shape; zero means zero."""
    return rounded(kernel / step) * step
