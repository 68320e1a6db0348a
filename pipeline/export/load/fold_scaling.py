"""Fold pixel scaling into the first convolution, so that the network takes plain pixels.

``w * (s * p + o)`` is ``(w * s) * p + w * o``. The first part is another kernel. The second is a bias if the
convolution has no padding. With padding it is not: padding is 0 after the scaling, not ``o``, so the sum differs at the
border. A fourth input channel that is 1 inside the image and is padded with 0 represents ``w * o`` exactly.

An int8 graph does not need this channel if all three channels have the same scaling. Pixels are then its quantized
input tensor, whose zero point is the pixel value nearest to the one that means 0, at most half a step away. The bias
corrects this half step everywhere except in the padding, where the error is no larger than that of rounding.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.export.load.front import Front, commute, readers
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling


def fold_scaling(
    front: Front, scaling: PixelScaling, *, nearest_zero: bool = False
) -> tuple[keras.Model, PixelScaling]:
    """Make the network take pixels scaled to 0-1, if its first layer can hold the scaling, else scaled RGB pixels.

    Args:
        front: a model without its own scaling: takes scaled pixels, float32 (N, H, W, 3).
        scaling: from pixels 0-255 to its input.
        nearest_zero: where all channels have one scaling, keep a scaling in which an integer pixel value means 0; the
            result then differs in the padding.

    Returns:
        An equivalent network, and the remaining scaling before it, which never reverses channels.
    """
    scaling, bgr = replace(scaling, bgr=False), scaling.bgr
    first = _first_convolution(front)
    is_quantized = scaling.zero_point is not None  # uint8 pixels can be the quantized input tensor as they are
    if first is None or (is_quantized and not bgr) or not commute(front.moves, replace(scaling, bgr=bgr)):
        return _chained(front, bgr=bgr), scaling
    left, factor, shift = scaling, np.ones(3), np.zeros(3)
    if not is_quantized and nearest_zero and scaling.nearest_zero_point is not None:
        own = -scaling.nearest_zero_point * scaling.scale[0]
        left, shift = PixelScaling(scaling.scale, (own,) * 3), np.array(scaling.offset) - own
    elif not is_quantized:
        left, factor, shift = UNIT_SCALING, 255 * np.array(scaling.scale), np.array(scaling.offset)
    padded = bool(first.paddings) or first.convolution.padding == "same"
    value = image = keras.Input(front.model.input_shape[1:], name=front.model.inputs[0].name)
    for move in front.moves:
        value = move(value)
    value = _with_channel_of_ones(value) if padded and left == UNIT_SCALING and shift.any() else value
    for padding in first.paddings:
        value = padding(value)
    value = _folded(first.convolution, factor, shift, value, bgr=bgr)
    for rest in (keras.Model(first.result, front.rest[0].outputs[0], name=front.rest[0].name), *front.rest[1:]):
        value = rest(value)
    return keras.Model(image, value), left


class _First(NamedTuple):
    """A network's first convolution, the paddings before it, and the symbolic tensor that it gives."""

    paddings: list[layers.ZeroPadding2D]
    convolution: layers.Conv2D
    result: Any


def _first_convolution(front: Front) -> _First | None:
    """Find the first layer; ``None`` if it is no convolution, or one whose kernel cannot hold a scaling."""
    network, paddings = front.rest[0], []
    tensor = network.inputs[0]
    while len(reading := readers(network, tensor)) == 1 and isinstance(reading[0].operation, layers.ZeroPadding2D):
        paddings.append(reading[0].operation)
        tensor = reading[0].outputs[0]
    convolution: Any = reading[0].operation if len(reading) == 1 else None
    if type(convolution) is not layers.Conv2D or convolution.groups != 1 or convolution.data_format != "channels_last":
        return None
    return _First(paddings, convolution, reading[0].outputs[0])


def _chained(front: Front, *, bgr: bool) -> keras.Model:
    """Join the parts of ``front`` into one network that takes RGB."""
    parts = [*front.moves, *front.rest]
    if len(parts) == 1 and not bgr:
        return parts[0]
    value = image = keras.Input(front.model.input_shape[1:], name=front.model.inputs[0].name)
    if bgr:
        reverse = layers.Conv2D(3, 1, use_bias=False, name="bgr")
        value = reverse(value)
        reverse.set_weights([np.eye(3, dtype=np.float32)[np.newaxis, np.newaxis, ::-1]])
    for part in parts:
        value = part(value)
    return keras.Model(image, value)


def _with_channel_of_ones(image: Any) -> Any:
    return keras.ops.pad(image, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=1)


def _folded(
    convolution: layers.Conv2D, factor: NDArray[np.float64], shift: NDArray[np.float64], value: Any, *, bgr: bool
) -> Any:
    """Apply to ``value`` a convolution that equals ``convolution`` of ``factor * value + shift``.

    ``value`` has 3 channels, or 4 of which the last is the channel of ones.
    """
    kernel, *rest = (weight.astype(np.float64) for weight in convolution.get_weights())
    kernel = kernel[:, :, ::-1] if bgr else kernel
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
