"""The one preprocessing: an image in any form becomes square pixels as the spec says."""

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import ImageDecodeError, ImageError, ImageFileNotFoundError
from runtime.spec import ModelSpec

Pixels = NDArray[np.uint8]
ImageSource = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | Pixels

BACKGROUND = (255, 255, 255)
"""What transparent parts are shown on."""

REDUCING_GAP = 3.0
"""How many times larger than the square a photo is left by the cheap reduction before the exact filter."""

MAX_PIXELS = 2 * 89_478_485
"""Larger images are refused before their memory is taken (Pillow's own bound)."""

_ORIENTATION_TAG = 0x0112
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
    """Decode, turn upright, convert to RGB and resize one image.

    Args:
        image: path, encoded bytes, binary file, PIL image, or uint8 array (H, W, 3) in RGB.
        spec: side, resize policy and filter.

    Returns:
        uint8 (S, S, 3), RGB, 0-255.

    Raises:
        ImageFileNotFoundError: the path does not name a readable file.
        ImageDecodeError: the bytes are not a whole image of a format that Pillow reads.
        ImageError: an array of another shape or dtype, or an object of another kind.
    """
    try:
        if isinstance(image, Image.Image):
            return _to_square(image, spec)
        if isinstance(image, np.ndarray):
            return _to_square(_from_array(image), spec)
        with _open(image) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ImageDecodeError(
                    f"image has {opened.width}x{opened.height} pixels, at most {MAX_PIXELS} are read"
                )
            return _to_square(opened, spec)
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageFileNotFoundError(f"{_describe(image)}: no such image file") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ImageFileNotFoundError(f"{_describe(image)}: {error.strerror}; expected a readable image file") from error
    except Exception as error:  # Pillow's decoders raise a dozen types on damaged files
        raise ImageDecodeError(f"{_describe(image)}: not an image that can be decoded whole ({error})") from error


def _open(image: str | os.PathLike[str] | bytes | BinaryIO) -> Image.Image:
    if isinstance(image, bytes):
        return Image.open(io.BytesIO(image))
    if isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        return Image.open(image)
    raise ImageError(
        f"cannot read an image from {type(image).__name__}: "
        "give a path, bytes, a binary file, a PIL image or a uint8 array"
    )


def _describe(image: object) -> str:
    if isinstance(image, str | Path):
        return str(image)
    return f"{len(image)} bytes" if isinstance(image, bytes) else f"a {type(image).__name__}"


def _from_array(array: Pixels) -> Image.Image:
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ImageError(f"an image array must be uint8 (H, W, 3) in RGB, got {array.dtype} {array.shape}")
    return Image.fromarray(array)


def _to_square(image: Image.Image, spec: ModelSpec) -> Pixels:
    orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    gap_side = int(spec.side * REDUCING_GAP)
    # A JPEG decoder can leave out what the reduction would average away anyway.
    drafted = image.draft(None, (gap_side, gap_side))
    box = drafted[1] if drafted else (0, 0, image.width, image.height)
    rgb = _to_rgb(image)
    if rgb.size != (spec.side, spec.side):
        resample = Image.Resampling[spec.resize_filter.upper()]
        rgb = rgb.resize((spec.side, spec.side), resample, box=box, reducing_gap=REDUCING_GAP)
    # A square turns as well after the reduction as before it, and a thousand times cheaper.
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
    return np.array(rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise ImageDecodeError("floating-point images have no fixed range: convert to 8 or 16 bits first")
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.clip(np.asarray(image.convert("I")), 0, 65_535) // 257
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (*BACKGROUND, 255)), layer).convert("RGB")
    return image.convert("RGB")
