"""A network that has seen many pictures, less its last layer: photos in, features out."""

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

BEHIND = (layers.Dropout, layers.Activation, layers.Softmax, layers.Identity)
"""Layers that may stand behind the last dense one."""
BATCH = 16
"""Photos that one device looks at at a time."""


@dataclass(frozen=True)
class Backbone:
    """Where features come from.

    Attributes:
        name: of the network, or of its file.
        network: scaled float32 pixels (N, S, S, 3) to features (N, D).
        scaling: from pixels 0-255 to what the network expects.
        strategy: whose devices share the photos; without one ONNX Runtime looks at them on this machine's processor.
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
        """How many features a photo has."""
        return int(self.network.output_shape[-1])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of architecture and weights, which features are kept by."""
        digest = hashlib.sha256(self.network.to_json().encode())
        digest.update(repr(self.scaling).encode())
        for weight in self.network.get_weights():
            digest.update(np.ascontiguousarray(weight).data)
        return digest.hexdigest()

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        """ONNX Runtime takes about half of Keras's time for the same numbers."""
        graph = clean(translate_function(lambda image: self.network(image, training=False), self.side))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(graph.SerializeToString(), options, ["CPUExecutionProvider"])

    @property
    def batch(self) -> int:
        """Photos that all devices together look at at a time."""
        return BATCH * (int(self.strategy.num_replicas_in_sync) if self.strategy else 1)

    @cached_property
    def _shared(self) -> Callable[[Any], tf.Tensor]:
        """The network on every device: a part of the photos each to the features of all."""
        strategy = self.strategy or tf.distribute.get_strategy()
        with strategy.scope():
            network = keras.models.clone_model(self.network)
            network.set_weights(self.network.get_weights())

        def look(parts: Any) -> tf.Tensor:
            return strategy.gather(strategy.run(lambda part: network(part, training=False), args=(parts,)), axis=0)

        compiled: Callable[[Any], tf.Tensor] = tf.function(look)
        return compiled

    def features(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, S, S, 3) to float32 (N, D)."""
        return self._features_of_devices(pixels) if self.strategy else self._features_of_processor(pixels)

    def _features_of_devices(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = []
        for start in range(0, len(pixels), self.batch):
            images = self.scaling(pixels[start : start + self.batch])
            rest = np.zeros((self.batch - len(images), *images.shape[1:]), np.float32)  # each size is compiled anew
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
        """The network with a softmax layer of these weights, (D, C) and (C,), at its end: a plain Keras model."""
        outputs = layers.Dense(kernel.shape[1], activation="softmax", name="classes")
        model = keras.Model(self.network.inputs[0], outputs(self.network.outputs[0]), name=self.network.name)
        outputs.set_weights([kernel, bias])
        return model


def named(name: str, side: int, weights: Path | None = None) -> Backbone:
    """A pretrained network by its name; see ``pipeline.models.pretrained``."""
    model = pretrained(name, side, weights)
    return Backbone(name, _without_head(model, name), PixelScaling((1.0, 1.0, 1.0)))


def of_file(path: Path) -> Backbone:
    """A Keras classifier of one's own, cut before its last dense layer.

    Raises:
        ExportError: not a Keras image classifier.
        ArchitectureError: it takes other images than square RGB ones, or its end is no dense layer.
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
    """The network up to what its last dense layer reads; all of one that ends in pooled features."""
    last = [layer for layer in model.layers if not isinstance(layer, BEHIND)][-1]
    if isinstance(last, layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D):
        return model
    if not isinstance(last, layers.Dense):
        raise ArchitectureError(
            f"{name}: ends in {type(last).__name__} ({last.name}); a backbone must end in a dense layer over its "
            "features, which the new one takes the place of"
        )
    return keras.Model(model.inputs[0], last.input, name=model.name)
