"""Fold pixel scaling into the first convolution, so that plain pixels are what the network takes.

``w * (s * p + o)`` is ``(w * s) * p + w * o``. The first part is another kernel. The second is a bias where the
convolution sees no padding; where it does, padding is 0 behind the scaling and not o, so the sum differs at the border.
A fourth channel that is 1 inside the image and padded with 0 like the others carries ``w * o`` exactly.
"""

from typing import Any

import keras
import numpy as np
from keras import layers

from pipeline.export.scaling import UNIT_SCALING, PixelScaling, readers


def fold_scaling(network: keras.Model, scaling: PixelScaling) -> tuple[keras.Model, PixelScaling]:
    """The network behind plain 0-1 pixels where its first layer allows it, else unchanged.

    Args:
        network: float32 (N, S, S, 3), scaled, to anything.
        scaling: from pixels 0-255 to its input.

    Returns:
        An equal network and what is left of the scaling before it.
    """
    if scaling.zero_point is not None:  # quantised pixels are that already
        return network, scaling
    paddings, tensor = [], network.inputs[0]
    while len(reading := readers(network, tensor)) == 1 and isinstance(reading[0].operation, layers.ZeroPadding2D):
        paddings.append(reading[0].operation)
        tensor = reading[0].outputs[0]
    convolution: Any = reading[0].operation if len(reading) == 1 else None
    if type(convolution) is not layers.Conv2D or convolution.groups != 1 or convolution.data_format != "channels_last":
        return network, scaling
    padded = bool(paddings) or convolution.padding == "same"
    image = keras.Input(network.input_shape[1:], name=network.inputs[0].name)
    value = _with_channel_of_ones(image) if padded and any(scaling.offset) else image
    for padding in paddings:
        value = padding(value)
    value = _folded(convolution, scaling, value, padded=padded)
    rest = keras.Model(reading[0].outputs[0], network.outputs[0])
    return keras.Model(image, rest(value)), UNIT_SCALING


def _with_channel_of_ones(image: Any) -> Any:
    return keras.ops.pad(image, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=1)


def _folded(convolution: layers.Conv2D, scaling: PixelScaling, value: Any, *, padded: bool) -> Any:
    """Apply the convolution with ``scaling`` in its weights to pixels divided by 255."""
    kernel, *rest = (weight.astype(np.float64) for weight in convolution.get_weights())
    bias = rest[0] if rest else np.zeros(convolution.filters)
    scaled = kernel * (255 * np.array(scaling.scale))[:, np.newaxis]
    shifted = kernel * np.array(scaling.offset)[:, np.newaxis]
    if value.shape[-1] == 4:
        scaled = np.concatenate([scaled, shifted.sum(axis=2, keepdims=True)], axis=2)
    elif not padded:
        bias = bias + shifted.sum(axis=(0, 1, 2))
    folded = layers.Conv2D.from_config({**convolution.get_config(), "use_bias": True})
    result = folded(value)
    folded.set_weights([scaled, bias])
    return result
