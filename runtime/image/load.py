"""The one preprocessing: an image in any form becomes square pixels as the spec says."""

import math
import os
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import ImageDecodeError, ImageError, ImageFileNotFoundError
from runtime.image.color import resizable, to_rgb
from runtime.image.decode import MAX_DECODED_PIXELS, MAX_PIXELS, decode, exif_orientation, open_image, open_regular
from runtime.spec import NO_ANTIALIAS, ModelSpec

__all__ = ["MAX_DECODED_PIXELS", "MAX_PIXELS", "ImageSource", "Pixels", "load_square"]

Pixels = NDArray[np.uint8]
ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | Pixels

# How many times larger than its target a picture is left by the cheap reductions (a JPEG decoder's, then whole blocks
# of pixels) before the exact filter: what keeps the result within half a grey level of doing without them.
# The box filter takes or leaves whole pixels at its edges, so its pixels must be fine.
_DRAFT_GAP = {"box": 24.0, NO_ANTIALIAS: math.inf}
_REDUCING_GAP = {"box": 24.0}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_square(image: ImageSource, spec: ModelSpec) -> Pixels:
    """Decode, resize, convert to RGB and turn upright one image; may be called from several threads at once.

    Transparent parts show ``spec.fill``; 16-bit grey levels are scaled to 8 bits; colours with an ICC profile other
    than sRGB are converted to sRGB; of an animation the first frame is taken. A JPEG is decoded at the smallest of
    the scales 1, 1/2, 1/4 and 1/8 that the filter allows, so neither its time nor its memory is that of all its pixels.

    Args:
        image: path, encoded bytes, binary file (read from its start where it can seek, left open), PIL image (left as
            it is), or uint8 array (H, W, 3) in RGB. Files are JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP or PPM, or
            HEIC where pillow-heif is installed.
        spec: side, resize policy, filter and fill colour.

    Returns:
        uint8 (S, S, 3), RGB, 0-255.

    Raises:
        ImageFileNotFoundError: the path does not name a readable file.
        ImageDecodeError: the bytes are not a whole image of a format that is read, or have too many pixels.
        ImageError: an array of another shape or dtype, or an object of another kind.
    """
    try:
        if isinstance(image, Image.Image):
            return to_square(image, _Plan.of(image, spec), spec)
        if isinstance(image, np.ndarray):
            array = _from_array(image)
            return to_square(array, _Plan.of(array, spec), spec)
        if isinstance(image, str | os.PathLike):
            with open_regular(image) as file:
                return to_square(*decoded(file, spec), spec)
        if isinstance(image, bytes) or hasattr(image, "read"):
            return to_square(*decoded(image, spec), spec)
        raise ImageError(
            f"cannot read an image from {type(image).__name__}: "
            "give a path, bytes, a binary file, a PIL image or a uint8 array"
        )
    except ImageDecodeError as error:
        raise type(error)(f"{_describe(image)}: {error}") from error
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageFileNotFoundError(f"{_describe(image)}: no such image file") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ImageFileNotFoundError(f"{_describe(image)}: {error.strerror}; expected a readable image file") from error
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files
        raise ImageDecodeError(f"{_describe(image)}: not an image that can be decoded whole ({error})") from error


class _Plan(NamedTuple):
    """Which part of an image, as stored, goes where.

    Attributes:
        box: left, top, right and bottom of that part in pixels.
        width, height: what it becomes, as stored, before it is turned upright.
    """

    box: tuple[float, float, float, float]
    width: int
    height: int

    @classmethod
    def of(cls, image: Image.Image, spec: ModelSpec) -> "_Plan":
        """All three policies are symmetric, so they hold for the image as stored as for the upright one."""
        width, height = image.size
        if spec.resize == "crop":
            side = min(width, height)
            left, top = (width - side) / 2, (height - side) / 2
            return cls((left, top, left + side, top + side), spec.side, spec.side)
        if spec.resize == "pad":
            scale = spec.side / max(width, height)
            return cls((0, 0, width, height), max(1, round(width * scale)), max(1, round(height * scale)))
        return cls((0, 0, width, height), spec.side, spec.side)

    def scale(self, gap: float) -> int:
        """By how much a JPEG decoder may reduce: each side stays ``gap`` times its target."""
        left, top, right, bottom = self.box
        most = min((right - left) / self.width, (bottom - top) / self.height) / gap
        return next((scale for scale in (8, 4, 2) if scale <= most), 1)

    def reduced(self, scale: int) -> "_Plan":
        left, top, right, bottom = self.box
        return _Plan((left / scale, top / scale, right / scale, bottom / scale), self.width, self.height)


def decoded(source: bytes | BinaryIO, spec: ModelSpec) -> tuple[Image.Image, _Plan]:
    """The first half of ``load_square`` for encoded images, which benchmarks time by itself."""
    image = open_image(source)
    plan = _Plan.of(image, spec)
    scale = plan.scale(_DRAFT_GAP.get(spec.resize_filter, 3.0)) if image.format == "JPEG" else 1
    decode(image, scale)
    return image, plan.reduced(scale) if scale > 1 else plan


def to_square(image: Image.Image, plan: _Plan, spec: ModelSpec) -> Pixels:
    """Its second half: resized, in RGB and upright."""
    image.load()  # what lies behind the pixels of a caller's file may still change how they are meant
    info = image.info
    picture = resizable(image)
    size = (plan.width, plan.height)
    if spec.resize_filter == NO_ANTIALIAS:
        picture = picture.transform(size, Image.Transform.EXTENT, plan.box, Image.Resampling.BILINEAR)
    elif picture.size != size or plan.box != (0, 0, *size):
        resample = Image.Resampling[spec.resize_filter.upper()]
        picture = picture.resize(size, resample, plan.box, _REDUCING_GAP.get(spec.resize_filter, 4.0))
    picture = to_rgb(picture, info.get("icc_profile"), spec.fill)
    # A small picture turns as well as a large one, and a thousand times cheaper.
    orientation = exif_orientation(info.get("exif"))
    if orientation in _UPRIGHT:
        picture = picture.transpose(_UPRIGHT[orientation])
    if picture.size != (spec.side, spec.side):
        square = Image.new("RGB", (spec.side, spec.side), spec.fill)
        square.paste(picture, ((spec.side - picture.width) // 2, (spec.side - picture.height) // 2))
        picture = square
    return np.array(picture)


def _describe(image: object) -> str:
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    return f"{len(image)} bytes" if isinstance(image, bytes) else f"a {type(image).__name__}"


def _from_array(array: Pixels) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(f"an image array must be uint8 (H, W, 3) in RGB, got {array.dtype} {array.shape}")
    return Image.fromarray(array)
