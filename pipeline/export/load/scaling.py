"""How pixels become what a network expects: stated by the person, or by the layers that a model begins with."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from pipeline.errors import ExportError

SCALING_LAYERS = (layers.Rescaling, layers.Normalization, layers.BatchNormalization, layers.Identity)
PROBE = 65_536.0
"""A second pixel value to measure a scaling with: so large that a mean of 100 costs no digits."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PixelScaling:
    """How pixels 0-255 become what the model expects: ``pixel * scale + offset``, one of each a channel."""

    scale: Triple = (1 / 255, 1 / 255, 1 / 255)
    offset: Triple = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("scale", "offset"):
            values = getattr(self, name)
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise ExportError(f"{name} must be three finite numbers, one a channel, got {values!r}")
        if 0 in self.scale:
            raise ExportError(f"scale must not be 0: the model would see no pixels, got {self.scale!r}")

    @classmethod
    def of(
        cls,
        scale: tuple[float, ...] = (1 / 255,),
        offset: tuple[float, ...] = (0.0,),
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
    ) -> "PixelScaling":
        """``((pixel * scale + offset) - mean) / std``; each is one number for all channels or three.

        Raises:
            ExportError: another count of numbers, a number that is not finite, or a standard deviation not above 0.
        """
        given = {"scale": scale, "offset": offset, "mean": mean, "std": std}
        for name, values in given.items():
            if len(values) not in (1, 3) or not all(math.isfinite(value) for value in values):
                raise ExportError(f"{name} must be one finite number or three, one a channel, got {values!r}")
        if min(std) <= 0:
            raise ExportError(f"std must be above 0, got {std!r}")
        scales, offsets, means, stds = (np.broadcast_to(np.array(values, np.float64), 3) for values in given.values())
        return cls(_triple(scales / stds), _triple((offsets - means) / stds))

    @property
    def zero_points(self) -> tuple[int, int, int] | None:
        """The pixel value 0-255 of each channel that means 0; ``None`` where one of them is no whole number."""
        points = [-offset / scale for scale, offset in zip(self.scale, self.offset, strict=True)]
        if not all(-0.5 < point < 255.5 and math.isclose(point, round(point), abs_tol=1e-5) for point in points):
            return None
        red, green, blue = (round(point) for point in points)
        return red, green, blue

    @property
    def zero_point(self) -> int | None:
        """The zero point with which pixels are a quantized tensor as they stand: a whole number, one scale for all."""
        points = self.zero_points
        one = points is not None and len(set(points)) == len(set(self.scale)) == 1 and self.scale[0] > 0
        return points[0] if one and points is not None else None

    @property
    def nearest_zero_point(self) -> int | None:
        """The pixel value next to the one that means 0, which may lie between two; ``None`` without one for all."""
        scale, point = self.scale[0], -self.offset[0] / self.scale[0]
        one = len(set(self.scale)) == len(set(self.offset)) == 1 and scale > 0
        return round(point) if one and 0 <= point <= 255 else None

    def then(self, other: "PixelScaling") -> "PixelScaling":
        """This scaling, and ``other`` on its result."""
        scale, offset, factor, shift = (
            np.array(values) for values in (self.scale, self.offset, other.scale, other.offset)
        )
        return PixelScaling(_triple(scale * factor), _triple(offset * factor + shift))

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, S, S, 3) to float32 of the same shape."""
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        return pixels.astype(np.float32) * scale + offset


UNIT_SCALING = PixelScaling()
"""0-255 to 0-1."""


def _triple(values: NDArray[np.float64]) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third


@dataclass(frozen=True)
class LeadingScaling:
    """What the layers do that a model begins with.

    Attributes:
        scaling: of every pixel alike.
        network_input: the symbolic tensor behind those layers.
    """

    scaling: PixelScaling
    network_input: Any


def leading_scaling(model: keras.Model) -> LeadingScaling:
    """Follow the model's input through its scaling and normalization layers, as many as stand in a row.

    Each is measured rather than read: two images of one color tell the scale and offset of a layer that treats every
    pixel alike, whichever way it is configured.
    """
    tensor, scaling = model.inputs[0], PixelScaling((1.0, 1.0, 1.0))
    while (step := _scaling_step(model, tensor)) is not None:
        tensor, scaling = step[0], scaling.then(step[1])
    return LeadingScaling(scaling, tensor)


def readers(model: keras.Model, tensor: Any) -> list[Any]:
    """The nodes of a model's graph that read a symbolic tensor."""
    graph = model._functional if isinstance(model, keras.Sequential) else model  # noqa: SLF001 - its only holder
    nodes = [node for depth in graph._nodes_by_depth.values() for node in depth]  # noqa: SLF001 - no public way
    return [node for node in nodes if any(source is tensor for source in node.input_tensors)]


def _scaling_step(model: keras.Model, tensor: Any) -> tuple[Any, PixelScaling] | None:
    reading = readers(model, tensor)
    if len(reading) != 1 or not isinstance(reading[0].operation, SCALING_LAYERS):
        return None
    channels = tensor.shape[-1]
    low, high = (
        np.asarray(reading[0].operation(np.full((1, 1, 1, channels), value, np.float32)), np.float64)
        for value in (0, PROBE)
    )
    if low.size != channels:  # a mean for each place of the image is no scaling of pixels
        return None
    low, high = (np.broadcast_to(values, (1, 1, 1, 3)) for values in (low, high))
    return reading[0].outputs[0], PixelScaling(_triple(((high - low) / PROBE).ravel()), _triple(low.ravel()))
