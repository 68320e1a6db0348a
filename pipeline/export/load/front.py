"""Find how a model transforms pixels before its first layer with a kernel, by running these layers.

A model may begin with augmentation, which inference skips, with scaling, normalization or arithmetic, with a reversal
of its channels, or with cropping, resizing or padding, and all of these may be inside a nested model. The names of
layers do not tell which. So the graph is cut at every tensor through which all later layers see the image, and each
part between two cuts is evaluated on a few images. A part that maps every pixel independently is scaling; any other
part moves pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.export.load.scaling import AS_THEY_ARE, UNIT_SCALING, PixelScaling

SCALING_LAYERS = (layers.Rescaling, layers.Normalization, layers.BatchNormalization)
"""Layers whose weights, if any, only scale pixels."""
PROBE = 65_536.0
"""Pixel value with which a scaling is measured: large, so that subtracting a mean of 100 costs no precision."""
SPREAD = 300.0
"""Standard deviation of the values on which a measured scaling is checked: larger than scaled pixels ever are."""
ANY_SIDE = 64
"""Height and width in pixels of the test images for a nested model that takes images of any size."""
LOUD = 1.02
"""A model whose scale is larger than this would turn pixels 0-255 into values beyond 255: it expects pixels 0-1."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Front:
    """A network, divided at its first layer with a kernel.

    Attributes:
        model: the whole network.
        scaling: the scaling of pixel values; applied first.
        moves: models that move pixels but keep their values (crop, resize), in order; applied next.
        rest: the models that follow, in order.
    """

    model: keras.Model
    scaling: PixelScaling
    moves: tuple[keras.Model, ...]
    rest: tuple[keras.Model, ...]

    @cached_property
    def scales(self) -> bool:
        """Whether the model itself scales pixel values, at its beginning or in one of several branches."""
        return self.scaling != AS_THEY_ARE or _scales_somewhere(self.model)

    @property
    def expected(self) -> PixelScaling:
        """The scaling that the model expects before it: none if it scales pixels itself, else to 0-1.

        A model that begins with a scale above ``LOUD`` and a small offset expects 0-1, although it scales: it divides
        by ImageNet's standard deviations, or its batch normalization was trained on such pixels.
        """
        if not self.scales:
            return UNIT_SCALING
        scale, offset = np.abs(self.scaling.scale), np.abs(self.scaling.offset)
        return UNIT_SCALING if scale.mean() > LOUD and (offset <= 1.5 * scale).all() else AS_THEY_ARE


@dataclass(frozen=True)
class _Cut:
    """A tensor of a graph; if the graph is nested in another model, ``outer`` are the models that follow it."""

    graph: Any
    tensor: Any
    outer: tuple[keras.Model, ...] = ()

    def rest(self) -> tuple[keras.Model, ...]:
        return keras.Model(self.tensor, self.graph.outputs[0], name=self.graph.name), *self.outer


def front(model: keras.Model) -> Front:
    """Divide a model at its first layer with a kernel.

    Args:
        model: takes one tensor of float images, (N, H, W, C).
    """
    scaling, moves, pending = AS_THEY_ARE, list[keras.Model](), list[keras.Model]()
    best = place = _Cut(model, model.inputs[0])
    while True:
        for tensor in _cuts(place.graph, place.tensor):
            step = keras.Model(place.tensor, tensor, name=f"before_{tensor.name}")
            place = _Cut(place.graph, tensor, place.outer)
            own = _scaling_of(step)
            if own is None:
                pending.append(step)
            elif commute([*moves, *pending], own):
                scaling, moves, pending, best = scaling.then(own), [*moves, *pending], [], place
            else:
                return Front(model, scaling, tuple(moves), best.rest())
        nested = _nested_reader(place)
        if nested is None:
            break
        place = nested
        best = nested if not pending else best
    return Front(model, scaling, tuple(moves), best.rest())


def readers(model: Any, tensor: Any) -> list[Any]:
    """Return the nodes of a model's graph that read a symbolic tensor."""
    return [node for node in _nodes(model) if any(source is tensor for source in node.input_tensors)]


def _nodes(model: Any) -> list[Any]:
    """Return the nodes of a model's graph in the order of computation, without inputs."""
    graph = model._functional if isinstance(model, keras.Sequential) else model  # noqa: SLF001 - its only holder
    by_depth = graph._nodes_by_depth  # noqa: SLF001 - Keras has no public way to the nodes
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]


def has_kernel(operation: Any) -> bool:
    """Return whether a layer, or a layer inside a nested model, has weights and is none of ``SCALING_LAYERS``."""
    if isinstance(operation, keras.Model):
        return any(map(has_kernel, operation.layers))
    return not isinstance(operation, SCALING_LAYERS) and bool(getattr(operation, "weights", ()))


def _cuts(graph: Any, start: Any) -> Iterator[Any]:
    """Yield the tensors from ``start`` on through which all later layers see the image, up to the first kernel."""
    unread = {id(start): len(readers(graph, start))}
    for node in _nodes(graph):
        if not any(id(source) in unread for source in node.input_tensors):
            continue
        if has_kernel(node.operation):
            return
        for source in {id(source) for source in node.input_tensors} & unread.keys():
            unread[source] -= 1
            if not unread[source]:
                del unread[source]
        for output in node.outputs:
            unread[id(output)] = len(readers(graph, output))
        if len(unread) == 1 and len(node.outputs) == 1:
            yield node.outputs[0]


def _nested_reader(place: _Cut) -> _Cut | None:
    """Return the input of the nested model that is the only reader of a tensor; ``None`` if there is none."""
    reading = readers(place.graph, place.tensor)
    if len(reading) != 1 or len(reading[0].input_tensors) != 1 or not isinstance(reading[0].operation, keras.Model):
        return None
    nested, result = reading[0].operation, reading[0].outputs
    if len(nested.inputs) != 1 or len(nested.outputs) != 1 or len(result) != 1:
        return None
    last = result[0] is place.graph.outputs[0]
    behind = () if last else (keras.Model(result[0], place.graph.outputs[0], name=place.graph.name),)
    return _Cut(nested, nested.inputs[0], (*behind, *place.outer))


def _scaling_of(step: keras.Model) -> PixelScaling | None:
    """Return the scaling that a model applies to every pixel; ``None`` if it does anything else."""
    shape, channels = step.input_shape[1:], step.input_shape[-1]
    if len(shape) != 3 or None in shape or step.output_shape != step.input_shape or channels not in (1, 3):
        return None
    probes = np.zeros((channels + 2, *shape), np.float32)
    for channel in range(channels):
        probes[channel, ..., channel] = PROBE
    probes[-1] = _noise(shape)[0]
    answers = _evaluated(step, probes).astype(np.float64)
    offset = answers[channels, 0, 0]
    matrix = (answers[:channels, 0, 0] - offset) / PROBE  # (input channels, output channels)
    expected = probes[-1].astype(np.float64) @ matrix + offset
    if not (_close(answers[-1], expected) and _close(answers[channels], np.broadcast_to(offset, shape))):
        return None
    return _scaling(matrix, offset)


def _scaling(matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> PixelScaling | None:
    """Return the scaling by ``matrix`` (input channels, output channels); ``None`` if it mixes channels."""
    if len(matrix) == 1:
        matrix, offset = matrix[0, 0] * np.eye(3), np.repeat(offset, 3)
    for bgr, ordered, shift in ((False, matrix, offset), (True, matrix[:, ::-1], offset[::-1])):
        scale = np.diag(ordered)
        if scale.all() and np.abs(ordered - np.diag(scale)).max() <= 1e-6 * np.abs(scale).min():
            (red, green, blue), (red_offset, green_offset, blue_offset) = scale.tolist(), shift.tolist()
            return PixelScaling((red, green, blue), (red_offset, green_offset, blue_offset), bgr)
    return None


def commute(moves: Sequence[keras.Model], scaling: PixelScaling) -> bool:
    """Return whether scaling before ``moves`` gives the same result as scaling after them."""
    if not moves or scaling == AS_THEY_ARE:
        return True
    image = _noise(moves[0].input_shape[1:])
    before, behind = _scaled(image, scaling), image
    for move in moves:
        if len(move.output_shape) != 4 or move.output_shape[-1] != image.shape[-1]:
            return False
        before, behind = _evaluated(move, before), _evaluated(move, behind)
    return _close(before, _scaled(behind, scaling))


def _scaled(image: Image, scaling: PixelScaling) -> Image:
    """Scale an image of three channels, or of one channel, which uses the first channel's scaling."""
    return scaling(image)[..., : image.shape[-1]]


def _close(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Return whether two arrays are equal up to rounding; false if either has values that are not finite."""
    return bool(np.abs(first - second).max() <= 1e-4 * np.abs(second).max() + 1e-9)


def _noise(shape: tuple[int, ...]) -> Image:
    noise: Image = np.random.default_rng(0).normal(0, SPREAD, (1, *shape)).astype(np.float32)
    return noise


def _evaluated(step: keras.Model, image: Image) -> Image:
    return np.asarray(step(image, training=False), np.float32)


def _scales_somewhere(model: Any) -> bool:
    """Return whether a layer with a kernel reads pixels whose value range differs from that of the model's input."""
    from_image = {id(model.inputs[0])}
    read: dict[int, Any] = {}
    for node in _nodes(model):
        sources = [source for source in node.input_tensors if id(source) in from_image]
        if not sources:
            continue
        if not has_kernel(node.operation):
            from_image |= {id(output) for output in node.outputs}
            continue
        if isinstance(node.operation, keras.Model) and _scales_somewhere(node.operation):
            return True
        read |= {id(source): source for source in sources}
    shape = [extent or ANY_SIDE for extent in model.input_shape[1:]]
    extremes = np.stack([np.full(shape, value, np.float32) for value in (0, 255)])
    for tensor in read.values():
        if tensor is not model.inputs[0]:
            low, high = _evaluated(keras.Model(model.inputs[0], tensor), extremes)
            span = np.abs(high - low)
            if not np.isfinite(span).all():
                return True
            if (np.abs(span[span > 0] - 255) > 2.55).any() or (np.abs(low[span > 0]) > 2.55).any():
                return True
    return False
