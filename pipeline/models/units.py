"""The units that networks are made of, each in its deployed and in its trainable form.

A topology (``presets.py``) is written once, in terms of units. ``Deployed`` builds each unit as one layer;
``Trainable`` builds it from several linear layers that ``fold.py`` merges into that layer. The layers of a trainable
unit are named after the deployed layer: ``NAME_branch0``, ``NAME_norm0``, ``NAME_branch1`` …
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

from keras import layers

from pipeline.models.normalization import FusedBatchNormalization
from pipeline.models.pooling import halved

Tensor = Any
NORM_MOMENTUM = 0.9
DEPTHWISE = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"},
}
"""He initialization of depthwise kernels (K, K, C, 1), by fan-out: Keras's fan-in would count all C channels."""


@dataclass(frozen=True)
class Convolution:
    """Shape of a 'same'-padded convolution with bias.

    Attributes:
        filters: number of output channels; for a depthwise convolution, the number of its input channels.
        kernel_size: height and width of the kernel.
        strides: along both axes.
        relu: whether a ReLU follows.
        depthwise: whether each channel is convolved by itself, with its own kernel.
    """

    filters: int
    kernel_size: int
    strides: int = 1
    relu: bool = True
    depthwise: bool = False

    def layer(self, **options: Any) -> layers.Layer:
        """Build the Keras layer of this shape, with further options."""
        if self.depthwise:
            return layers.DepthwiseConv2D(self.kernel_size, self.strides, padding="same", **options)
        return layers.Conv2D(self.filters, self.kernel_size, self.strides, padding="same", **options)


class Units(Protocol):
    """The units that a topology can use; each takes and returns one tensor."""

    def conv(self, x: Tensor, name: str, shape: Convolution) -> Tensor:
        """Add a convolution."""

    def pooled_conv(self, x: Tensor, name: str, shape: Convolution) -> Tensor:
        """Add a convolution with ReLU, then max pooling by 2."""

    def dense(self, x: Tensor, name: str, units: int) -> Tensor:
        """Add a dense layer with bias, then ReLU."""

    def dropout(self, x: Tensor) -> Tensor:
        """Add dropout, in training only."""

    def classify(self, x: Tensor, name: str, class_count: int) -> Tensor:
        """Add the last layer."""


class Deployed:
    """Units of one layer each; the last layer gives probabilities."""

    def conv(self, x: Tensor, name: str, shape: Convolution) -> Tensor:
        """See ``Units``."""
        return shape.layer(activation="relu" if shape.relu else None, name=name)(x)

    def pooled_conv(self, x: Tensor, name: str, shape: Convolution) -> Tensor:
        """See ``Units``."""
        return layers.MaxPooling2D(2, name=f"{name}_pool")(self.conv(x, name, shape))

    def dense(self, x: Tensor, name: str, units: int) -> Tensor:
        """See ``Units``."""
        return layers.Dense(units, activation="relu", name=name)(x)

    def dropout(self, x: Tensor) -> Tensor:
        """Add nothing: dropout is the identity at inference."""
        return x

    def classify(self, x: Tensor, name: str, class_count: int) -> Tensor:
        """See ``Units``."""
        return layers.Dense(class_count, activation="softmax", name=name)(x)


@dataclass(frozen=True)
class Trainable:
    """Units of bias-free linear layers with batch normalization; the last layer gives logits.

    Attributes:
        dropout_rate: share of activations dropped by the dropout units of the topology.
        reparam: give every spatial convolution parallel linear branches: a 1x1 convolution and, where shapes
            allow, the identity, each with its own normalization (RepVGG; Ding et al., 2021).
    """

    dropout_rate: float = 0.0
    reparam: bool = False

    def conv(self, x: Tensor, name: str, shape: Convolution) -> Tensor:
        """See ``Units``."""
        summed = self._normalized_branches(x, name, shape)
        return layers.ReLU(name=f"{name}_relu")(summed) if shape.relu else summed

    def pooled_conv(self, x: Tensor, name: str, shape: Convolution) -> Tensor:
        """See ``Units``.

        Max pooling commutes with monotonically increasing functions, so it comes before ReLU and, with one branch,
        before a batch normalization without scale, which then process a quarter of the pixels. The scale is not needed,
        because the next layer can learn it: ReLU commutes with positive factors.
        """
        if self._branched(shape):
            pooled = self._pooled(self._normalized_branches(x, name, shape), name)
        else:
            pooled = self._pooled(self._branch(x, name, 0, shape), name)
            pooled = FusedBatchNormalization(momentum=NORM_MOMENTUM, scale=False, name=f"{name}_norm0")(pooled)
        return layers.ReLU(name=f"{name}_relu")(pooled)

    def _branched(self, shape: Convolution) -> bool:
        return self.reparam and shape.kernel_size > 1

    def _normalized_branches(self, x: Tensor, name: str, shape: Convolution) -> Tensor:
        branched = self._branched(shape)
        outputs = []
        for index, each in enumerate((shape, replace(shape, kernel_size=1)) if branched else (shape,)):
            outputs.append(self._normalized(self._branch(x, name, index, each), name, index))
        if branched and shape.strides == 1 and x.shape[-1] == shape.filters:
            outputs.append(self._normalized(x, name, len(outputs)))
        return layers.Add(name=f"{name}_sum")(outputs) if len(outputs) > 1 else outputs[0]

    @staticmethod
    def _branch(x: Tensor, name: str, index: int, shape: Convolution) -> Tensor:
        initial = {"depthwise_initializer": DEPTHWISE} if shape.depthwise else {"kernel_initializer": "he_normal"}
        return shape.layer(use_bias=False, name=f"{name}_branch{index}", **initial)(x)

    def dense(self, x: Tensor, name: str, units: int) -> Tensor:
        """See ``Units``."""
        linear = layers.Dense(units, use_bias=False, name=f"{name}_branch0")(x)
        return layers.ReLU(name=f"{name}_relu")(self._normalized(linear, name, 0))

    def dropout(self, x: Tensor) -> Tensor:
        """See ``Units``."""
        return layers.Dropout(self.dropout_rate)(x)

    def classify(self, x: Tensor, name: str, class_count: int) -> Tensor:
        """See ``Units``; the logits are float32 also in mixed precision."""
        return layers.Dense(class_count, dtype="float32", name=name)(x)

    @staticmethod
    def _normalized(x: Tensor, name: str, index: int) -> Tensor:
        return FusedBatchNormalization(momentum=NORM_MOMENTUM, name=f"{name}_norm{index}")(x)

    @staticmethod
    def _pooled(x: Tensor, name: str) -> Tensor:
        return layers.Lambda(halved, name=f"{name}_pool")(x)
