"""Resize a decoded image of any mode; a large image in bands, to avoid a second full-size copy."""

import math
from collections.abc import Iterator

from PIL import Image

from runtime.image.color import resizable
from runtime.spec import NO_ANTIALIAS

Box = tuple[float, float, float, float]
Size = tuple[int, int]

REDUCING_GAPS = {"box": 24.0}
"""Images are first reduced by averaging whole blocks of pixels, to this multiple of the target size, then by the exact
filter (``reducing_gap`` of Pillow). The values keep the result within half a gray level of the exact filter alone. The
box filter needs a larger multiple, because it uses or drops whole pixels at its edges."""
REDUCING_GAP = 4.0
"""The multiple for the other filters."""

_LARGE = 2**22
_BAND_PIXELS = 2**20
_SUPPORT = {"box": 0.5, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
"""Radius of each filter, in target pixels."""
_PREMULTIPLIED = {"RGBA": "RGBa"}


def resized(image: Image.Image, box: Box, size: Size, resize_filter: str) -> Image.Image:
    """Resize a part of an image.

    Args:
        image: any mode that ``resizable`` takes.
        box: left, top, right and bottom of the part, in pixels.
        size: target width and height.
        resize_filter: one of ``RESIZE_FILTERS``.

    Returns:
        An image of ``size``, L, RGB, RGBA or CMYK.
    """
    if image.width * image.height > _LARGE and resizable(image.crop((0, 0, 1, 1))).mode != _kept_mode(image):
        return _in_parts(image, box, size, resize_filter)
    picture = resizable(image)
    if resize_filter == NO_ANTIALIAS:
        return picture.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    if picture.size == size and box == (0, 0, *size):
        return picture
    gap = REDUCING_GAPS.get(resize_filter, REDUCING_GAP)
    return picture.resize(size, Image.Resampling[resize_filter.upper()], box, gap)


def _kept_mode(image: Image.Image) -> str:
    """Return the image's mode if it is resized without conversion, else an empty text."""
    return image.mode if image.mode in {"L", "RGB", "CMYK"} else ""


def _in_parts(image: Image.Image, box: Box, size: Size, resize_filter: str) -> Image.Image:
    if resize_filter == NO_ANTIALIAS:
        return _looked_up(image, box, size)
    across, down = size
    gap = REDUCING_GAPS.get(resize_filter, REDUCING_GAP)
    factors = [int(max(1, length / new / gap)) for length, new in ((box[2] - box[0], across), (box[3] - box[1], down))]
    reach = [
        (_SUPPORT[resize_filter] - 0.5) * length / new
        for length, new in ((box[2] - box[0], across), (box[3] - box[1], down))
    ]
    left, top = max(0, int(box[0] - reach[0])), max(0, int(box[1] - reach[1]))
    right, bottom = min(image.width, math.ceil(box[2] + reach[0])), min(image.height, math.ceil(box[3] + reach[1]))
    reduced = _reduced(image, (left, top, right, bottom), (factors[0], factors[1]))
    inner = (
        (box[0] - left) / factors[0],
        (box[1] - top) / factors[1],
        (box[2] - left) / factors[0],
        (box[3] - top) / factors[1],
    )
    small = reduced.resize(size, Image.Resampling[resize_filter.upper()], inner)
    return small.convert("RGBA") if small.mode == "RGBa" else small


def _reduced(image: Image.Image, box: tuple[int, int, int, int], factors: tuple[int, int]) -> Image.Image:
    """Average whole blocks of pixels; RGBA colors are multiplied by alpha first."""
    left, top, right, bottom = box
    rows = max(1, _BAND_PIXELS // (right - left) // factors[1]) * factors[1]

    def parts() -> Iterator[Image.Image]:
        for start in range(top, bottom, rows):
            band = resizable(image.crop((left, start, right, min(start + rows, bottom))))
            yield band.convert(_PREMULTIPLIED.get(band.mode, band.mode)).reduce(factors)

    return _stacked(parts(), -(-(bottom - top) // factors[1]))


def _looked_up(image: Image.Image, box: Box, size: Size) -> Image.Image:
    """Resize ``bilinear-no-antialias`` in bands: each target row from the source rows around its center."""
    across, down = size
    height = (box[3] - box[1]) / down

    def parts() -> Iterator[Image.Image]:
        for row in range(down):
            center = box[1] + (row + 0.5) * height
            first = max(0, math.floor(center) - 2)
            band = resizable(image.crop((0, first, image.width, min(image.height, first + 5))))
            place = (box[0], center - 0.5 - first, box[2], center + 0.5 - first)
            yield band.transform((across, 1), Image.Transform.EXTENT, place, Image.Resampling.BILINEAR)

    return _stacked(parts(), down)


def _stacked(parts: Iterator[Image.Image], height: int) -> Image.Image:
    """Paste the parts one below the other."""
    first = next(parts)
    stacked, top = Image.new(first.mode, (first.width, height)), first.height
    stacked.paste(first)
    for part in parts:
        stacked.paste(part, (0, top))
        top += part.height
    return stacked
