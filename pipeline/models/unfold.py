"""Unfold a deployed network into its trainable form, the inverse of ``fold``, so that a training can start from it."""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.errors import ArchitectureError
from pipeline.models.build import build
from runtime.text import first_of

Array = NDArray[np.floating]
IMAGES = 1_000
"""Number of images that the statistics of batch normalization are computed on."""
BATCH = 250


def unfold(deployed: keras.Model, trainable: keras.Model, images: NDArray[np.float32]) -> None:
    """Give ``trainable`` weights with which it computes the logits of ``deployed``.

    The statistics of each batch normalization are those of the images. Therefore the output hardly changes in training
    mode, where the statistics of a batch are used.

    Args:
        deployed: a network with the layers of ``build``.
        trainable: a model of ``build_trainable``; its weights are replaced.
        images: float32 (N, H, W, 3) in 0-1; the first ``IMAGES`` are used.

    Raises:
        ArchitectureError: the two networks do not have the same layers, or ``trainable`` has parallel branches.
    """
    _check(deployed, trainable, images.shape[1:3])
    targets = {layer.name: layer for layer in trainable.layers}
    factor: Array = np.ones(1)  # by which each channel is larger in the deployed network than in the trainable one
    for source in deployed.layers:
        if isinstance(source, layers.Flatten):
            factor = np.tile(factor, int(source.output.shape[-1]) // len(factor))
        if not source.weights:
            continue
        kernel, bias = source.get_weights()
        kernel *= factor[:, None]  # (K, K, inputs, outputs), (K, K, C, 1) or (inputs, outputs)
        if source.name in targets:  # only the last layer has the same name and weights in both
            targets[source.name].set_weights([kernel, bias])
            continue
        targets[f"{source.name}_branch0"].set_weights([kernel])
        norm = targets[f"{source.name}_norm0"]
        linear = _outputs(keras.Model(trainable.input, norm.input), images[:IMAGES])
        axes = tuple(range(linear.ndim - 1))
        mean, variance = linear.mean(axes, np.float64), linear.var(axes, np.float64)
        deviation, factor = np.sqrt(variance + norm.epsilon), np.ones(1)
        if norm.scale:
            norm.set_weights([deviation, bias + mean, mean, variance])
        else:  # the next layer multiplies by the deviation, which ReLU and pooling let through
            norm.set_weights([(bias + mean) / deviation, mean, variance])
            factor = deviation


def _outputs(model: keras.Model, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a model's outputs, computed eagerly: tracing it, as ``predict`` does, would take longer."""
    batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
    return np.concatenate([keras.ops.convert_to_numpy(model(batch, training=False)) for batch in batches])


def _check(deployed: keras.Model, trainable: keras.Model, size: tuple[int, ...]) -> None:
    name = trainable.name
    if any(layer.name.endswith("_norm1") for layer in trainable.layers):
        raise ArchitectureError("a network with parallel branches cannot start from a model: leave --reparam out")
    expected = build(name, int(trainable.output_shape[-1]), *size)
    got, wanted = (
        {layer.name: [weight.shape for weight in layer.weights] for layer in model.layers if layer.weights}
        for model in (deployed, expected)
    )
    different = sorted(layer for layer in {*got, *wanted} if got.get(layer) != wanted.get(layer))
    if different:
        raise ArchitectureError(
            f"{name} can only start from a model with the same layers, image size and classes; "
            f"{first_of(different)} of {deployed.name} {'differs' if len(different) == 1 else 'differ'}"
        )
