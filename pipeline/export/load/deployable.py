"""The deployed classifier: pixel scaling, a Keras model, and a softmax with temperature, or sigmoids.

All code that judges or converts a model works on this object: its ``probabilities`` are the reference with which every
exported file is compared, and its ``trace`` is the network that both converters read.
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
from runtime.text import plural

PREDICT_BATCH = 250
CHUNK, CHUNK_BYTES = 1_000, 16 * 1024 * 1024
"""Most images, and most bytes of uint8 pixels, that are scaled to float at once: 10,000 images of 224x224 pixels would
need 6 GB."""


@dataclass(frozen=True)
class Deployable:
    """A classifier as the device runs it.

    Attributes:
        model: takes float images (N, H, W, 3), gives logits, softmax probabilities or sigmoids, (N, C).
        class_names: the name of each output, in order.
        scaling: from pixels 0-255 to the model's input.
        temperature: divisor of the logits before the softmax (Guo et al., 2017); 1 leaves them as trained, and is the
            only value that a multi-label model may have.
        thresholds: of a multi-label model, the probability (0-1) at which an image gets each label; ``None``: 0.5 for
            all.
        nearest_zero: whether ``network`` may round the pixel value that means 0 to an integer; see ``for_int8``.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    scaling: PixelScaling = UNIT_SCALING
    temperature: float = 1.0
    nearest_zero: bool = False
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.class_names) != self.class_count:
            raise ExportError(
                f"{plural(len(self.class_names), 'class name')} for a model of {plural(self.class_count, 'class')}"
            )
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ExportError(f"temperature must be a finite number above 0, got {self.temperature}")
        if self.multi_label and self.temperature != 1:  # asking refuses other heads
            raise ExportError(
                f"the temperature {self.temperature:g} does not apply: the model judges each label by itself with a "
                "sigmoid (multi-label); leave --temperature out"
            )
        _ = self.network  # built now, because weights cannot be copied inside a trace

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
        """Number of outputs."""
        return int(self.model.output_shape[-1])

    @cached_property
    def output(self) -> str:
        """Kind of the model's output: ``softmax``, ``logits`` or ``sigmoid``."""
        return output_kind(self.model)

    @property
    def ends_in_softmax(self) -> bool:
        """Whether the model's outputs are softmax probabilities of mutually exclusive classes."""
        return self.output == "softmax"

    @property
    def multi_label(self) -> bool:
        """Whether each class has an independent probability, so that an image can have any number of labels."""
        return self.output == "sigmoid"

    @property
    def label_thresholds(self) -> tuple[float, ...]:
        """Thresholds (0-1) of a multi-label model, one per class."""
        return self.thresholds or (0.5,) * self.class_count

    @cached_property
    def front(self) -> Front:
        """The operations on pixels before the model's first layer with a kernel."""
        return front(logits_model(self.model, self.temperature))

    @cached_property
    def _folded(self) -> tuple[keras.Model, PixelScaling]:
        scaling = self.scaling.then(self.front.scaling)
        return fold_scaling(self.front, scaling, nearest_zero=self.nearest_zero)

    @cached_property
    def for_int8(self) -> "Deployable":
        """The same classifier in the form for quantizers: where possible, uint8 pixels are the quantized input tensor.

        Where no integer pixel value means exactly 0, the nearest one is used; then the padding of the first convolution
        differs by at most half a step of 256.
        """
        scaling = self.scaling.then(self.front.scaling)
        nearly = scaling.zero_point is None and scaling.nearest_zero_point is not None
        return replace(self, nearest_zero=True) if nearly else self

    @property
    def network(self) -> keras.Model:
        """The network for the converters: without softmax, leading scaling layers, or scaling that weights can hold.

        It takes float32 (N, H, W, 3), pixels through ``network_scaling``, and gives float32 logits (N, C), divided by
        the temperature.
        """
        return self._folded[0]

    @property
    def network_scaling(self) -> PixelScaling:
        """The scaling of pixels that remains before ``network``."""
        return self._folded[1]

    @cached_property
    def frozen(self) -> Any:
        """The frozen graph of ``trace`` for one image, which all flatbuffers share."""
        return frozen_graph(self.trace, self.size, tf.float32, batch=1)

    def trace(self, image: tf.Tensor) -> tf.Tensor:
        """Apply the network inside a ``tf.function``, for the converters.

        Args:
            image: float32 (N, H, W, 3), pixels through ``network_scaling``.

        Returns:
            Probabilities with temperature, float32 (N, C).
        """
        last = tf.sigmoid if self.multi_label else tf.nn.softmax
        with unrolled(self.network):
            return last(self.network(image, training=False))

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the logits without temperature, float32 (N, C), for pixels, uint8 (N, H, W, 3)."""
        return _predicted(self.network, self.network_scaling, pixels) * np.float32(self.temperature)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return Keras's probabilities, float32 (N, C), for pixels, uint8 (N, H, W, 3): the reference of all files.

        They come from the model as it was loaded, not from ``network``.
        """
        with log_hidden():
            answers = _predicted(self.model, self.scaling, pixels)
        if self.multi_label or (self.ends_in_softmax and self.temperature == 1):
            return answers
        # The logarithm of a softmax equals the logits up to a constant, which the next softmax removes.
        logits = np.log(np.maximum(answers, np.finfo(np.float32).tiny)) if self.ends_in_softmax else answers
        return softmax(logits / self.temperature)


def _predicted(model: keras.Model, scaling: PixelScaling, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a model's outputs, float32 (N, C), computed in batches that fit into memory for any image size.

    A single batch is computed eagerly: tracing the network, as ``predict`` does, would take longer.
    """
    batch = batch_size(pixels, PREDICT_BATCH)
    if 0 < len(pixels) <= batch:
        answers: NDArray[np.float32] = keras.ops.convert_to_numpy(model(tf.constant(scaling(pixels)), training=False))
        return answers
    chunks = in_batches(pixels, CHUNK, CHUNK_BYTES)
    parts = [model.predict(scaling(chunk), batch_size=batch, verbose=0) for chunk in chunks]
    return np.concatenate([np.zeros((0, int(model.output_shape[-1])), np.float32), *parts])
