"""The backbone of transfer learning: a pretrained network without its last layer, which maps photos to features."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from pipeline.errors import ArchitectureError
from pipeline.export.load.front import front
from pipeline.export.load.model import load_model
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.onnx import clean
from pipeline.export.translate import translate_function
from pipeline.models import pretrained
from pipeline.training import distribution

TRAILING = (layers.Dropout, layers.Activation, layers.Softmax, layers.Identity)
"""Layers that may follow the last dense layer."""
BATCH = 16
"""Number of photos per batch and device."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network that computes features.

    Attributes:
        name: of the network, or of its file.
        network: scaled float32 pixels (N, S, S, 3) to features (N, D).
        scaling: of pixels 0-255 to the network's input.
        strategy: whose devices share the photos; if ``None``, ONNX Runtime computes features on the CPU.
    """

    name: str
    network: keras.Model
    scaling: PixelScaling
    strategy: tf.distribute.Strategy | None = None

    @property
    def side(self) -> int:
        """Height and width of its photos in pixels."""
        return int(self.network.input_shape[1])

    @property
    def width(self) -> int:
        """Number of features of a photo, D."""
        return int(self.network.output_shape[-1])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of architecture, scaling and weights, the key of cached features."""
        digest = hashlib.sha256(self.network.to_json().encode())
        digest.update(repr(self.scaling).encode())
        for weight in self.network.get_weights():
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        """The network in ONNX Runtime, which takes about half of Keras's time for the same numbers."""
        graph = clean(translate_function(lambda image: self.network(image, training=False), self.side))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(graph.SerializeToString(), options, ["CPUExecutionProvider"])

    @property
    def batch(self) -> int:
        """Number of photos per batch of all devices."""
        return BATCH * (int(self.strategy.num_replicas_in_sync) if self.strategy else 1)

    @cached_property
    def _shared(self) -> Callable[[Any], tf.Tensor]:
        """A function that computes features on every device, each for its part of the photos, and gathers them."""
        strategy = self.strategy or tf.distribute.get_strategy()
        with strategy.scope():
            network = keras.models.clone_model(self.network)
            network.set_weights(self.network.get_weights())

        def look(parts: Any) -> tf.Tensor:
            return strategy.gather(strategy.run(lambda part: network(part, training=False), args=(parts,)), axis=0)

        compiled: Callable[[Any], tf.Tensor] = tf.function(look)
        return compiled

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features, float32 (N, D), of photos, uint8 (N, S, S, 3)."""
        return self._features_of_devices(pixels) if self.strategy else self._features_of_processor(pixels)

    def _features_of_devices(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(pixels), self.batch):
            images = self.scaling(pixels[start : start + self.batch])
            rest = np.zeros((self.batch - len(images), *images.shape[1:]), np.float32)  # another size would recompile
            shares = np.split(np.concatenate([images, rest]), self.batch // BATCH)
            seen = distribution.shared(self.strategy, [(share,) for share in shares])
            parts.append(self._shared(*seen).numpy()[: len(images)].reshape(len(images), self.width))
        result: NDArray[np.float32] = np.concatenate(parts)
        return result

    def _features_of_processor(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        session = self._session
        (answer,) = session.run(None, {session.get_inputs()[0].name: self.scaling(pixels)})
        result: NDArray[np.float32] = answer.reshape(len(pixels), self.width)
        return result

    def classifier(self, kernel: NDArray[np.floating[Any]], bias: NDArray[np.floating[Any]]) -> keras.Model:
        """Build a Keras model of the network and a softmax layer with these weights, (D, C) and (C,)."""
        outputs = layers.Dense(kernel.shape[1], activation="softmax", name="classes")
        model = keras.Model(self.network.inputs[0], outputs(self.network.outputs[0]), name=self.network.name)
        outputs.set_weights([kernel, bias])
        return model


def named(name: str, side: int, weights: Path | None = None) -> Backbone:
    """Make a backbone of a pretrained network; see ``pipeline.models.pretrained``."""
    model = pretrained(name, side, weights)
    return Backbone(name, _without_head(model, name), PixelScaling((1.0, 1.0, 1.0)))


def of_file(path: Path) -> Backbone:
    """Make a backbone of a Keras classifier file, without its last dense layer.

    Raises:
        ExportError: the file is not a Keras image classifier.
        ArchitectureError: it does not take square RGB images, or does not end in a dense layer.
    """
    model = load_model(path)
    height, width, channels = model.input_shape[1:]
    if height is None or height != width or channels != 3:
        raise ArchitectureError(
            f"{path}: a backbone takes square RGB images, this one takes {width} x {height} pixels of {channels} "
            "channels; give another network"
        )
    return Backbone(path.name, _without_head(model, str(path)), front(model).expected)


def _without_head(model: keras.Model, name: str) -> keras.Model:
    """Return the network up to the input of its last dense layer; a network that ends in pooling is kept whole."""
    last = [layer for layer in model.layers if not isinstance(layer, TRAILING)][-1]
    if isinstance(last, layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D):
        return model
    if not isinstance(last, layers.Dense):
        raise ArchitectureError(
            f"{name}: ends in {type(last).__name__} ({last.name}); a backbone must end in a dense layer over its "
            "features, which a new layer replaces"
        )
    return keras.Model(model.inputs[0], last.input, name=model.name)
