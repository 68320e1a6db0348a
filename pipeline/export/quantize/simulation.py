"""Simulate in Keras how the int8 files compute a network; this module alone knows which tensors are rounded.

The converters merge Keras layers: batch normalization into the layer before it, ReLU into the layer that computes its
input. Layers that only pass on values (pooling, reshaping, padding) keep the scale of their input. So a tensor is
rounded at the output of each merged layer. Such an output is called a *point* here and has the name of the last Keras
layer in the merged one. The logits are a point; softmax computes in float. The image is not a point: its values are
pixels.

Batch normalization uses its moving averages; it is folded into kernel and bias before these are rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from pipeline.documents.quantize_aware import Scheme
from pipeline.errors import ArchitectureError
from pipeline.export.load.front import has_kernel
from pipeline.export.quantize.fake_quantize import (
    fake_quantize,
    fake_quantize_weights,
    step_of,
    weight_step,
)
from pipeline.export.quantize.keras_graph import Node, functional, nodes_of
from pipeline.export.quantize.keras_layers import (
    LINEAR,
    RELUS,
    VIEWS,
    activated,
    activation,
    apply_kernel,
    channel_axes,
    folded,
    has_inner_point,
    is_identity,
    is_known,
    is_relu,
    norm_factor,
)

Ranges = Mapping[str, tuple[tf.Tensor, tf.Tensor]]
"""(lowest, highest) value of each point, scalar tensors, by the point's name."""
Taps = dict[str, list[tf.Tensor]]
"""The outputs of each point and of the layers that pass its values on, by the point's name."""


@dataclass(frozen=True)
class Point:
    """A tensor that int8 files round.

    Attributes:
        name: name of the last Keras layer in the merged layer that gives it.
        from_zero: whether its range begins at 0, as after a ReLU.
        most: upper bound of its range.
    """

    name: str
    from_zero: bool = False
    most: float = float("inf")


class Simulation:
    """A network that can be computed in float or with the rounding of int8.

    Args:
        network: from images, float32 (N, H, W, 3), to logits, (N, C); its weights are read at every call.
        image_step: difference between neighboring pixel values at the input of the first layer with a kernel; ``None``
            if it differs between channels: then the first bias is not rounded.

    Raises:
        ArchitectureError: the int8 form of a layer is not known.
    """

    def __init__(self, network: keras.Model, image_step: float | None = None) -> None:
        self._network, self._image_step = network, image_step
        self._nodes = list(nodes_of(network, {}, {}))
        function = functional(network)
        self._image, self._output = id(function.inputs[0]), self._nodes[-1].gives
        self._readers: dict[int, list[Node]] = {}
        for node in self._nodes:
            for source in node.sources:
                self._readers.setdefault(source, []).append(node)
        self._norms = {
            id(node): follower.operation
            for node in self._nodes
            if type(node.operation) in LINEAR and (follower := self._norm_behind(node))
        }
        self._merged = {id(norm) for norm in self._norms.values()}
        self.points: dict[str, Point] = {}
        self._points: dict[int, Point] = {}
        self._inner: dict[int, str] = {}
        self._origins: dict[int, str | None] = {self._image: None}
        for node in self._nodes:
            self._place(node)

    def __call__(
        self, image: tf.Tensor, scheme: Scheme | None = None, ranges: Ranges | None = None, taps: Taps | None = None
    ) -> tf.Tensor:
        """Compute the logits, float32 (N, C).

        Args:
            image: float32 (N, H, W, 3), scaled for the network.
            scheme: how weights are rounded; ``None``: weights stay in float.
            ranges: the range of every point; ``None``: activations stay in float.
            taps: a dict to which the outputs of the points are added.
        """
        values: dict[int, tf.Tensor] = {self._image: image}
        for node in self._nodes:
            value = self._compute(node, values, scheme, ranges)
            if (inner := self._inner.get(id(node))) is not None:
                value = value if ranges is None else fake_quantize(value, *ranges[inner])
                if taps is not None:
                    taps.setdefault(inner, []).append(value)
                value = activated(node.operation, value)
            point, origin = self._points.get(node.gives), self._origins[node.gives]
            if point is not None and ranges is not None:
                value = fake_quantize(value, *ranges[point.name])
            if origin is not None and taps is not None and (point is not None or isinstance(node.operation, VIEWS)):
                taps.setdefault(origin, []).append(value)
            values[node.gives] = value
        return values[self._output]

    def round_weights(self, scheme: Scheme) -> None:
        """Replace the network's kernels by rounded ones, which int8 quantization does not change further."""
        for node in self._nodes:
            if type(node.operation) in LINEAR:
                kernel, _ = folded(node.operation, norm := self._norms.get(id(node)))
                step = weight_step(kernel, scheme, channel_axes(node.operation))
                factor = 1.0 if norm is None else norm_factor(node.operation, norm)
                unscaled = tf.math.divide_no_nan(fake_quantize_weights(kernel, step), factor)
                node.operation.kernel.assign(tf.where(factor == 0, node.operation.kernel.value, unscaled))

    def _norm_behind(self, node: Node) -> Node | None:
        """Find the batch normalization that is the only reader of a linear layer without activation."""
        reading = self._readers.get(node.gives, [])
        alone = len(reading) == 1 and type(reading[0].operation) is layers.BatchNormalization
        return reading[0] if alone and activation(node.operation) == "linear" else None

    def _place(self, node: Node) -> None:
        """Determine whether a node's output is a point, or which point's values it passes on."""
        operation, origins = node.operation, [self._origins[source] for source in node.sources]
        if isinstance(operation, VIEWS) or is_identity(operation):
            self._origins[node.gives] = origins[0]
            return
        if not has_kernel(operation) and all(origin is None for origin in origins):
            self._origins[node.gives] = None  # still pixels
            return
        if id(operation) not in self._merged and not is_known(operation):
            raise ArchitectureError(
                f"the layer {operation.name} ({type(operation).__name__}) has no int8 form that quantization-aware "
                "training knows: train without --quantize-aware"
            )
        if has_inner_point(operation):
            inner = _free(f"{operation.name}/linear", self.points)
            self.points[inner], self._inner[id(node)] = Point(inner), inner
        name = _free(operation.name, self.points)
        self._origins[node.gives] = name
        reading = self._readers.get(node.gives, [])
        if len(reading) == 1 and (id(reading[0].operation) in self._merged or is_relu(reading[0].operation)):
            return
        most = RELUS.get(activation(operation))
        self.points[name] = self._points[node.gives] = Point(name, most is not None, most or float("inf"))

    def _compute(
        self, node: Node, values: Mapping[int, tf.Tensor], scheme: Scheme | None, ranges: Ranges | None
    ) -> tf.Tensor:
        operation = node.operation
        if id(operation) in self._merged:
            return values[node.sources[0]]
        if type(operation) not in LINEAR:
            args, kwargs = node.arguments.fill_in({own: values[source] for own, source in node.reads.items()})
            return operation(*args, **kwargs)
        (source,) = node.sources
        kernel, bias = folded(operation, self._norms.get(id(node)))
        if scheme is not None:
            step = weight_step(kernel, scheme, channel_axes(operation))
            kernel = fake_quantize_weights(kernel, step)
            bias = self._rounded_bias(bias, step, self._origins[source], ranges)
        value = apply_kernel(operation, values[source], kernel) + bias
        return value if id(node) in self._inner else activated(operation, value)

    def _rounded_bias(self, bias: tf.Tensor, weight: tf.Tensor, origin: str | None, ranges: Ranges | None) -> tf.Tensor:
        """Round the bias as in int32, whose step is the step of the input times the step of the weights."""
        of_input = self._image_step if origin is None else None
        if origin is not None and ranges is not None:
            of_input = step_of(*ranges[origin])
        if of_input is None:
            return bias
        step = tf.stop_gradient(of_input * tf.reshape(weight, [-1]))
        return fake_quantize_weights(bias, step)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name} ({number})", number + 1
    return free
