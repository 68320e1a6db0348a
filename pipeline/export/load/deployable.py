"""The deployed classifier: a Keras model, pixel scaling before it, and a tempered softmax, or sigmoids, after it.

Everything that judges or converts a model works on this one object: its ``probabilities`` are the reference that every
exported file is held against, its ``trace`` is the network that both converters read.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.dataset import batch_size, in_batches
from pipeline.errors import ExportError
from pipeline.export.freeze import frozen_graph
from pipeline.export.load.fold_scaling import fold_scaling
from pipeline.export.load.front import Front, front
from pipeline.export.load.head import logits_model, output_kind
from pipeline.export.load.recurrent import unrolled
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling
from pipeline.metrics.calibration import softmax
from pipeline.system.quiet import log_hidden

PREDICT_BATCH = 250
CHUNK, CHUNK_BYTES = 1_000, 16 * 1024 * 1024
"""Images scaled to float at a time, and their pixels: 10,000 of 224 pixels a side would need 6 GB."""


@dataclass(frozen=True)
class Deployable:
    """A classifier as the device runs it.

    Attributes:
        model: one float image (N, S, S, 3) in, one vector (N, C) of logits, softmax probabilities or sigmoids out.
        class_names: one name an output, in order.
        scaling: from pixels to what the model expects.
        temperature: what the logits are divided by before the softmax (Guo et al., 2017); 1 leaves them as trained,
            and is the only one for a multi-label model.
        thresholds: of a multi-label model, the probability (0-1) from which on an image has each label; ``None`` is
            0.5 for all.
        nearest_zero: let ``network`` round the pixel value that means 0; ``for_int8`` says when.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    scaling: PixelScaling = UNIT_SCALING
    temperature: float = 1.0
    nearest_zero: bool = False
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.class_names) != self.class_count:
            raise ExportError(f"{len(self.class_names)} class names for a model of {self.class_count} classes")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ExportError(f"temperature must be a finite number above 0, got {self.temperature}")
        if self.multi_label and self.temperature != 1:  # asking refuses other heads
            raise ExportError(
                f"the temperature {self.temperature:g} does not apply: the model judges each label by itself with a "
                "sigmoid (multi-label); leave --temperature out"
            )
        _ = self.network  # a trace cannot copy weights

    @property
    def side(self) -> int:
        """Height of the input in pixels, and its width unless ``width`` says otherwise."""
        return self.size[0]

    @property
    def width(self) -> int | None:
        """Width of the input in pixels, where it is not ``side``."""
        height, width = self.size
        return None if width == height else width

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return int(self.model.input_shape[1]), int(self.model.input_shape[2])

    @property
    def class_count(self) -> int:
        """Length of the output."""
        return int(self.model.output_shape[-1])

    @cached_property
    def output(self) -> str:
        """What the model gives: ``softmax``, ``logits`` or ``sigmoid``."""
        return output_kind(self.model)

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the model gives the probabilities of classes that exclude each other."""
        return self.output == "softmax"

    @property
    def multi_label(self) -> bool:
        """Whether each class has a probability by itself, so that an image has any number of labels."""
        return self.output == "sigmoid"

    @property
    def label_thresholds(self) -> tuple[float, ...]:
        """Of a multi-label model, one a class."""
        return self.thresholds or (0.5,) * self.class_count

    @cached_property
    def front(self) -> Front:
        """What the model does to pixels before its first layer with a kernel."""
        return front(logits_model(self.model, self.temperature))

    @cached_property
    def _folded(self) -> tuple[keras.Model, PixelScaling]:
        scaling = self.scaling.then(self.front.scaling)
        return fold_scaling(self.front, scaling, nearest_zero=self.nearest_zero)

    @cached_property
    def for_int8(self) -> "Deployable":
        """The same classifier as quantizers want it: pixels are the quantized image wherever that can be.

        Equal but for half a step of 256 in the padding of the first convolution, where one value nearly means 0.
        """
        scaling = self.scaling.then(self.front.scaling)
        nearly = scaling.zero_point is None and scaling.nearest_zero_point is not None
        return replace(self, nearest_zero=True) if nearly else self

    @property
    def network(self) -> keras.Model:
        """What the converters see: no softmax, no scaling layers at its beginning, no scaling that weights can hold.

        float32 (N, S, S, 3), as ``network_scaling`` makes it of pixels, to tempered logits float32 (N, C).
        """
        return self._folded[0]

    @property
    def network_scaling(self) -> PixelScaling:
        """What the graph does to pixels before ``network``."""
        return self._folded[1]

    @cached_property
    def frozen(self) -> Any:
        """The graph of ``trace`` for one image, its weights constants: traced once for all flatbuffers."""
        return frozen_graph(self.trace, self.size, tf.float32, batch=1)

    def trace(self, image: tf.Tensor) -> tf.Tensor:
        """The network for the converters, called inside a ``tf.function``.

        Args:
            image: float32 (N, S, S, 3), pixels through ``network_scaling``.

        Returns:
            Probabilities, float32 (N, C), tempered.
        """
        last = tf.sigmoid if self.multi_label else tf.nn.softmax
        with unrolled(self.network):
            return last(self.network(image, training=False))

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the model says before its softmax or sigmoids, untempered: uint8 (N, S, S, 3) to float32 (N, C)."""
        return _predicted(self.network, self.network_scaling, pixels) * np.float32(self.temperature)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The reference: what Keras says of uint8 (N, S, S, 3), float32 (N, C).

        It runs the model as it was loaded, not the stripped network that the converters see.
        """
        with log_hidden():
            answers = _predicted(self.model, self.scaling, pixels)
        if self.multi_label or (self.ends_in_softmax and self.temperature == 1):
            return answers
        # The logarithm of a softmax is its logits, less a constant that the next softmax takes out again.
        logits = np.log(np.maximum(answers, np.finfo(np.float32).tiny)) if self.ends_in_softmax else answers
        return softmax(logits / self.temperature)


def _predicted(model: keras.Model, scaling: PixelScaling, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a model gives, float32 (N, C), in batches that fit into memory whatever the side.

    A single batch is computed layer by layer: tracing the network, as ``predict`` does, would take longer.
    """
    batch = batch_size(pixels, PREDICT_BATCH)
    if 0 < len(pixels) <= batch:
        answers: NDArray[np.float32] = keras.ops.convert_to_numpy(model(tf.constant(scaling(pixels)), training=False))
        return answers
    chunks = in_batches(pixels, CHUNK, CHUNK_BYTES)
    parts = [model.predict(scaling(chunk), batch_size=batch, verbose=0) for chunk in chunks]
    return np.concatenate([np.zeros((0, int(model.output_shape[-1])), np.float32), *parts])
