"""The only preprocessing: turn an image in any form into RGB pixels, as the model spec says."""

import math
import os
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import ImageDecodeError, ImageError, ImageMemoryError
from runtime.image.budget import BUDGET
from runtime.image.color import to_rgb
from runtime.image.decode import (
    Encoded,
    decode,
    decoder_errors,
    examine,
    open_encoded,
    open_regular,
)
from runtime.image.orientation import orientation
from runtime.image.resize import resized
from runtime.spec import NO_ANTIALIAS, ModelSpec
from runtime.text import plural

__all__ = ["ImageSource", "Pixels", "in_rgb", "load_pixels"]

Pixels = NDArray[np.uint8]
ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | Pixels

ChildDecoder = Callable[[bytes | str | os.PathLike[str], ModelSpec], Pixels]

LIGHT_MEMORY = 64 * 2**20
LIGHT_FILE_BYTES = 32 * 2**20
"""Images below both limits (bytes) are decoded in this process."""
PROCESS_MEMORY = 24 * 2**20
"""Bytes that a decoding child process takes besides the image."""

# By what factor a JPEG decoded at reduced scale stays larger than its target; see REDUCING_GAPS.
_DRAFT_GAP = {"box": 24.0, NO_ANTIALIAS: math.inf}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = (5, 6, 7, 8)


def in_rgb(image: Any, channel_order: str) -> Any:
    """Return the array (…, 3) in RGB; a view of it if its order is BGR.

    Raises:
        ValueError: unknown order.
        TypeError: BGR, and not an array.
    """
    if channel_order not in {"RGB", "BGR"}:
        raise ValueError(f"channel_order must be RGB or BGR, got {channel_order!r}")
    if channel_order == "RGB":
        return image
    if not isinstance(image, np.ndarray):
        raise TypeError(f"channel_order is for arrays, got {type(image).__name__}: image files define their own order")
    return image[..., ::-1]


def load_pixels(image: ImageSource, spec: ModelSpec, child_decoder: ChildDecoder | None = None) -> Pixels:
    """Decode, resize, convert to RGB and turn upright one image. Thread-safe.

    Transparent parts show ``spec.fill``; 16-bit gray levels are scaled to 8 bits; colors with an ICC profile other
    than sRGB are converted to sRGB; of an animation the first frame is used. A JPEG is decoded at the smallest of
    the scales 1, 1/2, 1/4 and 1/8 that the filter allows, which saves time and memory.

    Args:
        image: path, encoded bytes, binary file (read from its start if seekable, left open), PIL image (not changed),
            or uint8 array (H, W, 3) in RGB. Files are JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP or PPM, or HEIC if
            pillow-heif is installed.
        spec: input size, resize policy, filter and fill color.
        child_decoder: decodes a path or bytes in another process; used if the image is large or its header does not
            bound the memory that decoding takes.

    Returns:
        uint8 (H, W, 3) of the spec's height and width; RGB, 0-255.

    Raises:
        ImageFileNotFoundError: the path does not name a readable file.
        ImageDecodeError: not a supported format, damaged or truncated, or too many pixels.
        ImageError: an array of the wrong shape or dtype, or an object of an unsupported type.
    """
    try:
        if isinstance(image, Image.Image):
            with decoder_errors():
                image.load()  # for TIFF, this also applies the orientation
            return to_pixels(image, _Plan.of_image(image, spec), spec)
        if isinstance(image, np.ndarray):
            array = _from_array(image)
            return to_pixels(array, _Plan.of(*array.size, spec), spec)
        if isinstance(image, str | os.PathLike):
            with open_regular(image) as file:
                return load_encoded(file, spec, (image, child_decoder) if child_decoder else None)
        if isinstance(image, bytes) or hasattr(image, "read"):
            return load_encoded(image, spec, (image, child_decoder) if child_decoder else None)
    except ImageDecodeError as error:
        raise type(error)(f"{_describe(image)}: {error}") from error
    except MemoryError as error:
        raise ImageMemoryError(f"{_describe(image)}: not enough memory to decode it: close other programs") from error
    raise ImageError(
        f"cannot read an image from {type(image).__name__}: "
        "give a path, bytes, a binary file, a PIL image or a uint8 array"
    )


class _Plan(NamedTuple):
    """The part of the stored image to use, and the size to resize it to.

    Attributes:
        box: left, top, right and bottom of the part in pixels of the stored image.
        width, height: size in pixels after resizing, before the image is turned upright.
    """

    box: tuple[float, float, float, float]
    width: int
    height: int

    @classmethod
    def of(cls, width: int, height: int, spec: ModelSpec, *, lying: bool = False) -> "_Plan":
        """Apply the resize policy to the stored image; it is symmetric, so turning the image later gives the same.

        Args:
            width: of the stored image in pixels.
            height: of the stored image in pixels.
            spec: resize policy and input size.
            lying: the image is stored turned by 90 degrees, so width and height of the input are swapped here.
        """
        across, down = spec.shape[:2] if lying else spec.shape[1::-1]
        if spec.resize == "crop":
            wide = width * down > height * across
            part_width, part_height = (height * across / down, height) if wide else (width, width * down / across)
            left, top = (width - part_width) / 2, (height - part_height) / 2
            return cls((left, top, left + part_width, top + part_height), across, down)
        if spec.resize == "pad":
            scale = min(across / width, down / height)
            return cls((0, 0, width, height), max(1, round(width * scale)), max(1, round(height * scale)))
        return cls((0, 0, width, height), across, down)

    @classmethod
    def of_image(cls, image: Image.Image, spec: ModelSpec) -> "_Plan":
        """Plan for a loaded image."""
        return cls.of(*image.size, spec, lying=_lies(image, spec))

    def scale(self, gap: float) -> int:
        """Return the factor (1, 2, 4, 8) for a JPEG decoder: each side stays at least ``gap`` times its target."""
        left, top, right, bottom = self.box
        most = min((right - left) / self.width, (bottom - top) / self.height) / gap
        return next((scale for scale in (8, 4, 2) if scale <= most), 1)

    def reduced(self, scale: int) -> "_Plan":
        left, top, right, bottom = self.box
        return _Plan((left / scale, top / scale, right / scale, bottom / scale), self.width, self.height)


def load_encoded(
    source: bytes | BinaryIO,
    spec: ModelSpec,
    in_child: tuple[Any, ChildDecoder] | None = None,
    before: Callable[[int], None] | None = None,
) -> Pixels:
    """Load encoded images for ``load_pixels``; errors do not name the image.

    Args:
        source: encoded bytes, or a binary file.
        spec: as for ``load_pixels``.
        in_child: the image as the caller gave it, and the function that decodes it in another process if it is large.
        before: called with the number of bytes that decoding will take.
    """
    encoded = examine(source)
    scale = _scale(encoded, spec)
    memory = encoded.header.require_memory(scale)
    is_light = encoded.header.is_bounded and memory <= LIGHT_MEMORY and encoded.size <= LIGHT_FILE_BYTES
    if before:
        before(memory)
    if in_child is None or is_light:
        with BUDGET.taken(memory):
            return to_pixels(*_decoded(encoded, scale, spec), spec)
    image, child_decoder = in_child
    if not isinstance(image, str | bytes | os.PathLike):
        encoded.stream.seek(0)
        image = encoded.stream.read()
    with BUDGET.taken(memory + PROCESS_MEMORY):
        return child_decoder(image, spec)


def decoded(source: bytes | BinaryIO, spec: ModelSpec) -> tuple[Image.Image, _Plan]:
    """Decode an encoded image: the first half of ``load_pixels``, which benchmarks time separately."""
    encoded = examine(source)
    return _decoded(encoded, _scale(encoded, spec), spec)


def _scale(encoded: Encoded, spec: ModelSpec) -> int:
    """Return the factor (1, 2, 4, 8) by which the decoder may reduce the image."""
    if encoded.header.kind != "JPEG":
        return 1
    size, gap = (encoded.header.width, encoded.header.height), _DRAFT_GAP.get(spec.resize_filter, 3.0)
    return min(_Plan.of(*size, spec, lying=lying).scale(gap) for lying in (False, True))


def _decoded(encoded: Encoded, scale: int, spec: ModelSpec) -> tuple[Image.Image, _Plan]:
    opened = open_encoded(encoded)
    width, height = opened.image.size
    decode(opened, scale)
    if scale > 1:
        return opened.image, _Plan.of(width, height, spec, lying=_lies(opened.image, spec)).reduced(scale)
    return opened.image, _Plan.of_image(opened.image, spec)  # some decoders have turned the image


def to_pixels(image: Image.Image, plan: _Plan, spec: ModelSpec) -> Pixels:
    """Resize, convert to RGB, turn upright and pad: the second half of ``load_pixels``.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    with decoder_errors():
        image.load()  # chunks after the pixels may hold the orientation or transparency
        picture = resized(image, plan.box, (plan.width, plan.height), spec.resize_filter)
    picture = to_rgb(picture, image.info.get("icc_profile"), spec.fill)
    # Turned after resizing: a small picture is a thousand times cheaper to turn.
    turned = _turned(image, spec)
    if turned in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[turned])
    height, width, _ = spec.shape
    if picture.size != (width, height):
        whole = Image.new("RGB", (width, height), spec.fill)
        whole.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
        picture = whole
    return np.array(picture)


def _turned(image: Image.Image, spec: ModelSpec) -> int:
    return 1 if spec.ignore_orientation else orientation(image)


def _lies(image: Image.Image, spec: ModelSpec) -> bool:
    """Return whether a loaded image is stored turned by 90 degrees; always ``False`` if the input is square."""
    height, width, _ = spec.shape
    return height != width and _turned(image, spec) in _LYING


def _describe(image: object) -> str:
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    return plural(len(image), "byte") if isinstance(image, bytes) else f"a {type(image).__name__}"


def _from_array(array: Pixels) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(f"an image array must be uint8 (H, W, 3) in RGB, got {array.dtype} {array.shape}")
    return Image.fromarray(array)
