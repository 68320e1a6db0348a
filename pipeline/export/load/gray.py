"""Turn a classifier of gray images into one of RGB images that gives the same answers to gray images.

Gray is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), as in Keras, Pillow and OpenCV. These weights sum to 1, so they can
be applied after a scaling of pixels as well as before it.
"""

from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.export.load.front import front, readers
from pipeline.export.load.scaling import AS_THEY_ARE

LUMA = (0.299, 0.587, 0.114)


def takes_gray(model: keras.Model) -> bool:
    """Return whether the model takes images of one channel."""
    return len(model.input_shape) == 4 and model.input_shape[3] == 1


def color_model(model: keras.Model) -> keras.Model:
    """Make the same classifier for float RGB images (N, H, W, 3), scaled like the gray images of ``model``.

    The luma weights become part of the first convolution or dense layer if possible, else a 1x1 convolution.
    """
    found = front(model)
    value = image = keras.Input((*model.input_shape[1:3], 3), name=model.inputs[0].name)
    if found.scaling != AS_THEY_ARE:
        scale, offset = found.scaling.scale[0], found.scaling.offset[0]
        value = layers.Rescaling(scale, offset, name="scaled_gray")(image)
    graph, *behind = found.rest
    tensor = graph.inputs[0]
    if found.moves:  # these models take one channel
        value = _gray(value)
        for move in found.moves:
            value = move(value)
    else:
        value, tensor = _folded(graph, tensor, value)
    if tensor is not graph.outputs[0]:
        behind.insert(0, keras.Model(tensor, graph.outputs[0], name=f"{model.name}_gray"))
    for rest in behind:
        value = rest(value)
    return keras.Model(image, value)


def _folded(model: keras.Model, tensor: Any, value: Any) -> tuple[Any, Any]:
    """Return RGB after the first layers with folded luma weights, and the tensor of ``model`` that this replaces."""
    passed: list[Any] = []
    place = tensor
    while len(reading := readers(model, place)) == 1 and isinstance(reading[0].operation, PASSING):
        passed.append(reading[0].operation)
        place = reading[0].outputs[0]
    layer: Any = reading[0].operation if len(reading) == 1 else None
    flat = any(isinstance(each, layers.Flatten) for each in passed)
    if type(layer) is layers.Dense and flat:
        return _with_kernel(layer, _flat_kernel, passed, value), reading[0].outputs[0]
    plain = type(layer) is layers.Conv2D and layer.groups == 1 and layer.data_format == "channels_last"
    if plain and not flat:
        return _with_kernel(layer, _map_kernel, passed, value), reading[0].outputs[0]
    return _gray(value), tensor


def _gray(value: Any) -> Any:
    luma = layers.Conv2D(1, 1, use_bias=False, name="luma")
    result = luma(value)
    luma.set_weights([np.array(LUMA).reshape(1, 1, 3, 1)])
    return result


PASSING = (layers.ZeroPadding2D, layers.Flatten)
"""Layers that treat one channel like three."""


def _with_kernel(layer: Any, widened: Any, passed: list[Any], value: Any) -> Any:
    """Pass ``value`` through copies of the layers ``passed`` and of ``layer``, whose kernel takes three channels."""
    for each in passed:
        value = type(each).from_config({**each.get_config(), "name": f"{each.name}_of_color"})(value)
    copy = type(layer).from_config(layer.get_config())
    result = copy(value)
    kernel, *bias = layer.get_weights()
    copy.set_weights([widened(kernel), *bias])
    return result


def _map_kernel(kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn a convolution's kernel (H, W, 1, F) into one for three channels: (H, W, 3, F)."""
    widened: NDArray[np.float64] = kernel * np.array(LUMA)[:, np.newaxis]
    return widened


def _flat_kernel(kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn a dense kernel (pixels, F) into (3 * pixels, F) for three channels; the channels of a pixel are adjacent."""
    widened: NDArray[np.float64] = kernel[:, np.newaxis] * np.array(LUMA)[:, np.newaxis]
    return widened.reshape(-1, kernel.shape[-1])
