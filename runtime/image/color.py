"""Every mode of image becomes RGB: transparency on the fill color, 16 bits scaled to 8, color profiles to sRGB."""

import functools
from typing import Any

import numpy as np
from PIL import Image

from runtime.errors import ImageDecodeError

Fill = tuple[int, int, int]

_MAX_PROFILE_BYTES = 2**22  # printers' largest; each is kept with its transform


def resizable(image: Image.Image) -> Image.Image:
    """The image in a mode that a filter may average: L, RGB, RGBA, or CMYK with a color profile.

    Raises:
        ImageDecodeError: floats or 32-bit integers, which have no fixed range.
    """
    if image.mode in {"L", "RGB"} and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise ImageDecodeError("floating-point images have no fixed range: convert to 8 or 16 bits first")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.mode == "CMYK" and "icc_profile" in image.info:
        return image
    if _has_transparency(image):
        return image.convert("RGBA")
    return image.convert("L" if image.mode in {"1", "L"} else "RGB")


def _has_transparency(image: Image.Image) -> bool:
    """As ``Image.has_transparency_data``, which came with Pillow 10.1."""
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        return True
    return image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A")


def to_rgb(image: Image.Image, profile: object, fill: Fill) -> Image.Image:
    """RGB of what ``resizable`` gave, once it is small.

    Args:
        image: L, RGB, RGBA or CMYK.
        profile: its ICC profile (``image.info["icc_profile"]``), by which colors are converted to sRGB with
            LittleCMS's perceptual intent; those of sRGB itself, damaged ones and ones for other modes change nothing.
        fill: what transparent parts are shown on, sRGB.
    """
    if isinstance(profile, bytes) and len(profile) <= _MAX_PROFILE_BYTES:
        image = _to_srgb(image, profile)
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, (*fill, 255)), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "I":  # 32 bits that hold 16: Pillow's mode of 16-bit PGM and of older versions' 16-bit PNG
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ImageDecodeError(
                f"32-bit gray levels from {values.min()} to {values.max()} have no fixed range: "
                "convert to 8 or 16 bits first"
            )
        values = values.astype(np.uint16)
    # v / 257 to the nearest, in 16 bits
    return Image.fromarray(((values - (((values >> 1) + 64) >> 7) + 128) >> 8).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    converted: Image.Image = transform.apply(image)
    return converted


@functools.lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> Any:
    """LittleCMS's transform from ``profile`` to sRGB, or ``None`` where there is nothing to do or no way to do it."""
    if b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile:
        return None
    import io

    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = "RGBA" if mode == "RGBA" else "RGB"
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, target)
    except Exception:  # noqa: BLE001 - a picture with a profile that cannot be read is still a picture
        return None
