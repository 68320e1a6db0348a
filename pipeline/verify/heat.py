"""Heat maps: how much each part of an image contributes to a class.

The contribution is measured on the log odds of the class: its logit minus the log-sum-exp of the other logits. Unlike a
probability, the log odds do not saturate, and a constant added to all logits does not change them. The log odds of a
label of a multi-label model are its logit.

Convolutional networks: gradient times activation, summed over the channels of the last feature maps, as in HiResCAM
(R. L. Draelos, L. Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
networks", 2020, arXiv 2011.08891). With global average pooling and one dense layer behind these maps it equals the
class activation map (B. Zhou et al., "Learning deep features for discriminative localization", 2016).

Other networks: by how much the log odds fall when a part of the image is covered (M. D. Zeiler, R. Fergus, "Visualizing
and understanding convolutional networks", 2014).
"""

from collections.abc import Iterator
from typing import Any

import keras
import matplotlib as mpl
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from PIL import Image
from scipy.special import logsumexp

from pipeline.data.dataset import in_batches
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.head import logits_model, origin

FEWEST_PLACES = 4
"""Smallest height and width of the feature maps that are used."""
BATCH = 4
GRID, OCCLUDED = 8, 3
"""Occlusion divides an image into GRID x GRID cells and hides a square of OCCLUDED cells around each."""
COLORS, STRENGTH = "inferno", 0.7
FINE = 64
IMAGE_RANK = 4
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, keras.Model)

Heat = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def heat_maps(deployable: Deployable, pixels: Pixels, answers: NDArray[np.integer[Any]]) -> Heat:
    """Compute how much each part of an image contributes to a class.

    Args:
        deployable: the network.
        pixels: uint8 (N, H, W, 3).
        answers: index of the class to explain for each image, (N,); mostly the predicted class.

    Returns:
        float32 (N, h, w), coarser than the images, values 0 or more. The values of an image sum to 1, or are all 0 if
        no part contributes to the class.
    """
    network = logits_model(deployable.model)
    maps = _last_maps(network)
    if maps is None:
        pairs = zip(pixels, answers, strict=True)
        found = np.stack([_occlusion(deployable, image, int(answer)) for image, answer in pairs])
    else:
        watched = keras.Model(network.inputs, [maps, network.outputs[0]])
        parts, start = [], 0
        for part in in_batches(pixels, BATCH):
            chosen = answers[start : start + len(part)]
            parts.append(_hires_cam(watched, deployable.scaling(part), chosen, alone=deployable.multi_label))
            start += len(part)
        found = np.concatenate(parts)
    found = np.maximum(np.nan_to_num(found), 0)
    sums = found.sum(axis=(1, 2), keepdims=True)
    return np.asarray(found / np.where(sums > 0, sums, 1), np.float32)


def center_share(heat: Heat) -> float:
    """Return the share (0-1) of a map, float32 (h, w), in its middle: half the height by half the width."""
    fine = np.asarray(Image.fromarray(heat).resize((FINE, FINE), Image.Resampling.BOX))
    quarter = FINE // 4
    return float(fine[quarter:-quarter, quarter:-quarter].sum() / max(fine.sum(), np.finfo(np.float32).tiny))


def overlay(pixels: Pixels, heat: Heat) -> Image.Image:
    """Draw a heat map, float32 (h, w), in color over the grayscale version of its image, uint8 (H, W, 3)."""
    photo = Image.fromarray(np.ascontiguousarray(pixels))
    strength = np.asarray(Image.fromarray(heat).resize(photo.size, Image.Resampling.BICUBIC))
    strength = np.clip(strength / max(float(heat.max()), np.finfo(np.float32).tiny), 0, 1)
    color = mpl.colormaps[COLORS](strength)[:, :, :3] * 255
    gray = np.asarray(photo.convert("L"), np.float32)[:, :, np.newaxis]
    share = STRENGTH * strength[:, :, np.newaxis]
    return Image.fromarray(np.asarray((1 - share) * gray + share * color, np.uint8))


def _last_maps(network: keras.Model) -> Any:
    """Return the last large enough feature maps of a convolutional network.

    ``None`` if there are none, or if a nested model comes after them.
    """
    for tensor in _backwards(network.outputs[0]):
        operation, _ = origin(tensor)
        if _has_places(tensor):
            return tensor if any(isinstance(origin(each)[0], CONVOLUTIONS) for each in _backwards(tensor)) else None
        if isinstance(operation, keras.Model):
            return None
    return None


def _backwards(tensor: Any) -> Iterator[Any]:
    """Yield a symbolic tensor and all tensors that it is computed from, the nearest first."""
    tensors = {id(tensor): tensor}
    while tensors:
        following: dict[int, Any] = {}
        for each in tensors.values():
            yield each
            following |= {id(source): source for source in origin(each)[1]}
        tensors = following


def _has_places(tensor: Any) -> bool:
    shape = tensor.shape
    return len(shape) == IMAGE_RANK and min(shape[1] or 0, shape[2] or 0) >= FEWEST_PLACES


def _hires_cam(
    watched: keras.Model, images: NDArray[np.float32], answers: NDArray[np.integer[Any]], *, alone: bool
) -> Any:
    """Compute gradient of the log odds times activation, summed over channels: float32 (N, h, w).

    Args:
        watched: model with outputs feature maps (N, h, w, channels) and logits (N, C).
        images: scaled, float32 (N, H, W, 3).
        answers: class indices (N,).
        alone: whether the log odds are the logit itself (multi-label).
    """
    inputs = tf.convert_to_tensor(images)
    chosen = tf.one_hot(answers, int(watched.outputs[1].shape[-1]), on_value=True, off_value=False)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        maps, logits = watched(inputs, training=False)
        odds = tf.reduce_sum(tf.where(chosen, logits, 0), axis=1)
        if not alone:
            odds -= tf.reduce_logsumexp(tf.where(chosen, logits.dtype.min, logits), axis=1)
    return tf.reduce_sum(tape.gradient(odds, maps) * maps, axis=-1).numpy()


def _occlusion(deployable: Deployable, image: Pixels, answer: int) -> Any:
    """Compute the fall of the log odds for each covered cell of an image, uint8 (H, W, 3): float64 (GRID, GRID)."""
    rows, columns = (np.linspace(0, side, GRID + 1).round().astype(int) for side in image.shape[:2])
    covered = np.repeat(image[np.newaxis], GRID * GRID + 1, axis=0)
    color, around = image.mean(axis=(0, 1)), OCCLUDED // 2
    for place, (row, column) in enumerate(np.ndindex(GRID, GRID)):
        down = slice(rows[max(row - around, 0)], rows[min(row + around + 1, GRID)])
        right = slice(columns[max(column - around, 0)], columns[min(column + around + 1, GRID)])
        covered[place, down, right] = color
    logits = deployable.logits(covered).astype(np.float64)
    others = 0 if deployable.multi_label else logsumexp(np.delete(logits, answer, axis=1), axis=1)
    odds = logits[:, answer] - others
    return (odds[-1] - odds[:-1]).reshape(GRID, GRID)
