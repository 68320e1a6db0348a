"""Fold pixel scaling into the first convolution, so that plain pixels are what the network takes.

``w * (s * p + o)`` is ``(w * s) * p + w * o``. The first part is another kernel. The second is a bias where the
convolution sees no padding; where it does, padding is 0 behind the scaling and not o, so the sum differs at the border.
A fourth channel that is 1 inside the image and padded with 0 like the others carries ``w * o`` exactly.

An int8 graph has no need of that channel where all three are scaled alike. Pixels are its quantized tensor, whose zero
point is a pixel value: the one nearest to what means 0, at most half a step off. The bias takes that half step back
everywhere but in the padding, where half a step is what any rounding costs.
"""

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling, readers


def fold_scaling(
    network: keras.Model, scaling: PixelScaling, *, nearest_zero: bool = False
) -> tuple[keras.Model, PixelScaling]:
    """The network behind plain 0-1 pixels where its first layer allows it, else unchanged.

    Args:
        network: float32 (N, S, S, 3), scaled, to anything.
        scaling: from pixels 0-255 to its input.
        nearest_zero: where one pixel value nearly means 0, leave a scaling by which it does; equal but for padding.

    Returns:
        An equal network and what is left of the scaling before it.
    """
    if scaling.zero_point is not None:  # quantized pixels are that already
        return network, scaling
    paddings, tensor = [], network.inputs[0]
    while len(reading := readers(network, tensor)) == 1 and isinstance(reading[0].operation, layers.ZeroPadding2D):
        paddings.append(reading[0].operation)
        tensor = reading[0].outputs[0]
    convolution: Any = reading[0].operation if len(reading) == 1 else None
    if type(convolution) is not layers.Conv2D or convolution.groups != 1 or convolution.data_format != "channels_last":
        return network, scaling
    left, factor, shift = UNIT_SCALING, 255 * np.array(scaling.scale), np.array(scaling.offset)
    if nearest_zero and scaling.nearest_zero_point is not None:
        own = -scaling.nearest_zero_point * scaling.scale[0]
        left, factor, shift = PixelScaling(scaling.scale, (own,) * 3), np.ones(3), shift - own
    padded = bool(paddings) or convolution.padding == "same"
    image = keras.Input(network.input_shape[1:], name=network.inputs[0].name)
    value = _with_channel_of_ones(image) if padded and left == UNIT_SCALING and shift.any() else image
    for padding in paddings:
        value = padding(value)
    value = _folded(convolution, factor, shift, value)
    rest = keras.Model(reading[0].outputs[0], network.outputs[0])
    return keras.Model(image, rest(value)), left


def _with_channel_of_ones(image: Any) -> Any:
    return keras.ops.pad(image, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=1)


def _folded(convolution: layers.Conv2D, factor: NDArray[np.float64], shift: NDArray[np.float64], value: Any) -> Any:
    """Apply a convolution of ``factor * value + shift`` to ``value``, or to ``value`` with a channel of ones."""
    kernel, *rest = (weight.astype(np.float64) for weight in convolution.get_weights())
    bias = rest[0] if rest else np.zeros(convolution.filters)
    scaled, shifted = kernel * factor[:, np.newaxis], kernel * shift[:, np.newaxis]
    if value.shape[-1] == 4:
        scaled = np.concatenate([scaled, shifted.sum(axis=2, keepdims=True)], axis=2)
    else:
        bias = bias + shifted.sum(axis=(0, 1, 2))
    folded = layers.Conv2D.from_config({**convolution.get_config(), "use_bias": True})
    result = folded(value)
    folded.set_weights([scaled, bias])
    return result
