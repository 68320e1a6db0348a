"""Pixel scaling: from pixels 0-255 to a network's input values."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ExportError

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PixelScaling:
    """The map from pixels 0-255 to the model's input: ``pixel * scale + offset``.

    Attributes:
        scale, offset: one value each for red, green and blue, in this order.
        bgr: whether the channels are reversed after scaling, for a model that takes blue, green, red.

    Raises:
        ExportError: a value is not finite, or a scale is 0.
    """

    scale: Triple = (1 / 255, 1 / 255, 1 / 255)
    offset: Triple = (0.0, 0.0, 0.0)
    bgr: bool = False

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
        *,
        bgr: bool = False,
    ) -> "PixelScaling":
        """Compose ``((pixel * scale + offset) - mean) / std``; each argument is one number, or three per channel.

        Three numbers are in the order of the model's channels: blue, green, red with ``bgr``.

        Raises:
            ExportError: an argument has neither 1 nor 3 numbers, a number is not finite, or ``std`` is not above 0.
        """
        given = {"scale": scale, "offset": offset, "mean": mean, "std": std}
        for name, values in given.items():
            if len(values) not in (1, 3) or not all(math.isfinite(value) for value in values):
                raise ExportError(f"{name} must be one finite number or three, one a channel, got {values!r}")
        if min(std) <= 0:
            raise ExportError(f"std must be above 0, got {std!r}")
        scales, offsets, means, stds = (np.broadcast_to(np.array(values, np.float64), 3) for values in given.values())
        order = slice(None, None, -1 if bgr else 1)
        return cls(_triple((scales / stds)[order]), _triple(((offsets - means) / stds)[order]), bgr)

    @property
    def zero_points(self) -> tuple[int, int, int] | None:
        """The pixel value 0-255 of each channel that is scaled to 0; ``None`` if one of them is not an integer."""
        points = [-offset / scale for scale, offset in zip(self.scale, self.offset, strict=True)]
        if not all(-0.5 < point < 255.5 and math.isclose(point, round(point), abs_tol=1e-5) for point in points):
            return None
        red, green, blue = (round(point) for point in points)
        return red, green, blue

    @property
    def zero_point(self) -> int | None:
        """The zero point with which uint8 pixels are a quantized tensor of one scale; ``None`` if there is none.

        It exists if all channels have the same positive scale and an integer pixel value is scaled to 0.
        """
        points = self.zero_points
        one = points is not None and len(set(points)) == len(set(self.scale)) == 1 and self.scale[0] > 0
        return points[0] if one and points is not None else None

    @property
    def nearest_zero_point(self) -> int | None:
        """The integer nearest to the pixel value that is scaled to 0; ``None`` if the channels' scalings differ.

        Also ``None`` if the scale is negative or this pixel value lies outside 0-255.
        """
        scale, point = self.scale[0], -self.offset[0] / self.scale[0]
        one = len(set(self.scale)) == len(set(self.offset)) == 1 and scale > 0
        return round(point) if one and 0 <= point <= 255 else None

    def then(self, other: "PixelScaling") -> "PixelScaling":
        """Return this scaling followed by ``other``."""
        scale, offset, factor, shift = (
            np.array(values) for values in (self.scale, self.offset, other.scale, other.offset)
        )
        if self.bgr:
            factor, shift = factor[::-1], shift[::-1]
        return PixelScaling(_triple(scale * factor), _triple(offset * factor + shift), self.bgr != other.bgr)

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Scale RGB pixels (N, H, W, 3) to float32 of the same shape, in the order of the model's channels."""
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        scaled: NDArray[np.float32] = pixels.astype(np.float32) * scale + offset
        return scaled[..., ::-1] if self.bgr else scaled


def _triple(values: NDArray[np.float64]) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third


UNIT_SCALING = PixelScaling()
"""Pixels 0-255 become 0-1."""
AS_THEY_ARE = PixelScaling((1.0, 1.0, 1.0))
"""Pixels 0-255 stay as they are."""
PRESETS: dict[str, PixelScaling] = {
    "tf": PixelScaling.of((1 / 127.5,), (-1.0,)),
    "torch": PixelScaling.of(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "caffe": PixelScaling.of((1.0,), mean=(103.939, 116.779, 123.68), bgr=True),
    "none": AS_THEY_ARE,
}
"""The modes of ``keras.applications.imagenet_utils.preprocess_input``, and ``none``: pixels 0-255 as they are."""
