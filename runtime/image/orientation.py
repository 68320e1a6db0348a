"""Read an image's orientation as ``PIL.ImageOps.exif_transpose`` does: from EXIF, else from XMP.

The common form, one SHORT or LONG, is read here, because ``Image.getexif`` imports the TIFF decoder and takes as long
as decoding a small image. Pillow reads the other forms (PNG's text form, other types and counts, BigTIFF).
"""

import re
from typing import Any

from PIL import Image

_TAG = 0x0112
_UPRIGHT = 1
_HEADERS = {b"II*\0": "little", b"MM\0*": "big"}
_TYPES = {3: 2, 4: 4}  # SHORT, LONG
_TURNED = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_XMP = "XML:com.adobe.xmp"
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"


def orientation(image: Image.Image) -> int:
    """Return the orientation 1-8 of CIPA DC-008; 1 if the image has none or it is damaged.

    Args:
        image: must be loaded, because some formats store the orientation after the pixels.
    """
    info = image.info
    exif = info.get("exif")
    if isinstance(exif, bytes) and (found := _plain(exif)) is not None:
        value = found or _in_xmp(image)
    elif _TAG in getattr(image, "tag_v2", ()):
        value = _UPRIGHT  # Pillow turned it while loading; up to version 9 it leaves the tag
    elif exif is not None or "Raw profile type exif" in info or hasattr(image, "tag_v2"):
        value = _by_pillow(image)
    else:
        value = _in_xmp(image)
    return value if 1 <= value <= 8 else _UPRIGHT


def _plain(exif: bytes) -> int | None:
    """Return the orientation in an EXIF block; 0 if it has none, ``None`` if Pillow must read it."""
    tiff = exif.removeprefix(b"Exif\0\0").removeprefix(b"Exif\0\0")
    order: Any = _HEADERS.get(tiff[:4])
    if order is None:
        return None

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)

    directory = number(4, 4)
    for entry in range(directory + 2, min(directory + 2 + 12 * number(directory, 2), len(tiff) - 11), 12):
        if number(entry, 2) == _TAG:
            size = _TYPES.get(number(entry + 2, 2))
            return number(entry + 8, size) if size and number(entry + 4, 4) == 1 else None
    return 0


def _in_xmp(image: Image.Image) -> int:
    xmp = image.info.get(_XMP) or image.info.get("xmp") or _xmp_segment(image)
    content = xmp.encode(errors="replace") if isinstance(xmp, str) else xmp
    found = _TURNED.search(content) if isinstance(content, bytes) else None
    return int(found[1]) if found else _UPRIGHT


def _xmp_segment(image: Image.Image) -> bytes:
    """Return the XMP segment of a JPEG; older versions of Pillow do not put it in ``info``."""
    segments = (content for _, content in getattr(image, "applist", ()) if content.startswith(_XMP_SEGMENT))
    return next(segments, b"")


def _by_pillow(image: Image.Image) -> int:
    try:
        # Pillow looks the value up in a dictionary, so any number type equal to 1-8 counts.
        return {number: number for number in range(1, 9)}.get(image.getexif().get(_TAG, _UPRIGHT), _UPRIGHT)
    except Exception:  # noqa: BLE001 - unreadable EXIF does not make the picture unreadable
        return _UPRIGHT
