"""Convert every image mode to RGB: fill behind transparency, scale 16 bits to 8, convert color profiles to sRGB."""

import functools
from typing import Any

import numpy as np
from PIL import Image

from runtime.errors import ImageDecodeError

Fill = tuple[int, int, int]

_MAX_PROFILE_BYTES = 2**22  # the largest printer profiles; the cache keeps each profile with its transform


def resizable(image: Image.Image) -> Image.Image:
    """Convert the image to a mode whose values a resize filter may average: L, RGB, RGBA, or CMYK with a color profile.

    Raises:
        ImageDecodeError: floats, or 32-bit integers outside 0-65535: they have no fixed range.
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
    """Return ``Image.has_transparency_data``, which Pillow has since 10.1."""
    if image.mode.endswith(("A", "a")) or "transparency" in image.info:
        return True
    return image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A")


def to_rgb(image: Image.Image, profile: object, fill: Fill) -> Image.Image:
    """Convert the resized image to RGB.

    Args:
        image: L, RGB, RGBA or CMYK, as ``resizable`` returns it.
        profile: ICC profile of the image (``image.info["icc_profile"]``); colors are converted to sRGB with
            LittleCMS's perceptual intent. sRGB profiles, damaged ones and profiles for other modes are ignored.
        fill: color behind transparent parts, sRGB, 0-255.
    """
    if isinstance(profile, bytes) and len(profile) <= _MAX_PROFILE_BYTES:
        image = _to_srgb(image, profile)
    if image.mode == "RGBA":
        return Image.alpha_composite(Image.new("RGBA", image.size, (*fill, 255)), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if image.mode == "I":  # 32-bit integers: Pillow uses them for 16-bit PGM, older versions also for 16-bit PNG
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ImageDecodeError(
                f"32-bit gray levels from {values.min()} to {values.max()} have no fixed range: "
                "convert to 8 or 16 bits first"
            )
        values = values.astype(np.uint16)
    # v / 257, rounded to nearest, in 16-bit arithmetic
    return Image.fromarray(((values - (((values >> 1) + 64) >> 7) + 128) >> 8).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    converted: Image.Image = transform.apply(image)
    return converted


@functools.lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str) -> Any:
    """Return LittleCMS's transform from ``profile`` to sRGB; ``None`` if the profile is sRGB or cannot be used."""
    if b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile:
        return None
    import io

    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = "RGBA" if mode == "RGBA" else "RGB"
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, target)
    except Exception:  # noqa: BLE001 - an unreadable profile does not make the picture unreadable
        return None
