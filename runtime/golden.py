"""The golden set: a few images inside the model file, with the probabilities that the file gave where it was exported.

Replaying it shows whether the file gives the same probabilities on this device. ONNX files store it in the
``metadata_props`` entry ``GOLDEN_KEY``; TFLite files store it, like the spec, in the appended ZIP archive.
"""

import base64
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import ModelSpecError
from runtime.spec import GOLDEN_FILE, GOLDEN_KEY, MAX_SIDE
from runtime.system.files import parse_json
from runtime.text import plural

__all__ = ["GOLDEN_FILE", "GOLDEN_KEY", "GoldenSet"]

MAX_PIXELS = 1 << 24
"""The most pixels of all images together; larger sets are refused."""
MAX_CHUNKS = 10_000
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = b"\x08\x02\0\0\0"
"""Bit depth, color type, compression, filter and interlace in the header of an 8-bit RGB PNG."""


@dataclass(frozen=True)
class GoldenSet:
    """Images and their expected probabilities.

    Attributes:
        pixels: uint8 (N, H, W, 3), RGB, 0-255.
        probabilities: float32 (N, C), computed by this model file on the machine that exported it.
        tolerance: largest allowed absolute difference of a probability, 0-1.
    """

    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    tolerance: float

    def to_json(self) -> str:
        """Write one line of JSON; the images are stacked from top to bottom in one base64 PNG."""
        stream = io.BytesIO()
        count, height, width = self.pixels.shape[:3]
        Image.fromarray(self.pixels.reshape(count * height, width, 3)).save(stream, "PNG", optimize=True)
        return json.dumps(
            ({} if height == width else {"height": height})
            | {
                "png": base64.b64encode(stream.getvalue()).decode(),
                "probabilities": self.probabilities.astype(float).tolist(),
                "tolerance": self.tolerance,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "GoldenSet":
        """Read ``to_json``'s output. It may be hostile, so sizes are checked before memory is allocated.

        Raises:
            ModelSpecError: not JSON, entries missing or out of range, or the numbers of images and rows of
                probabilities differ.
        """
        try:
            entries = parse_json(text)
            height, tolerance = entries.get("height"), entries["tolerance"]
            if height is not None and not (isinstance(height, int) and height is not True and 0 < height <= MAX_SIDE):
                raise ValueError(f"height {height!r:.50}")
            pixels = _decode(base64.b64decode(entries["png"], validate=True), height)
            probabilities = np.array(entries["probabilities"], np.float32)
            if probabilities.ndim != 2 or len(probabilities) != len(pixels):
                raise ValueError(f"{plural(len(pixels), 'image')}, but probabilities of shape {probabilities.shape}")
            if not ((probabilities >= 0) & (probabilities <= 1)).all():
                raise ValueError("probabilities outside 0-1")
            if not isinstance(tolerance, int | float) or not 0 <= tolerance <= 1:
                raise ValueError(f"tolerance {tolerance!r:.50}")
        except MemoryError:
            raise
        except Exception as error:  # JSON, base64 and Pillow's decoder raise a dozen types on damaged data
            raise ModelSpecError(f"golden set is not readable ({error!s:.200}): export the model again") from error
        return cls(pixels, probabilities, float(tolerance))

    def compare(self, answers: NDArray[np.float32], thresholds: Sequence[float] | None) -> tuple[int, float]:
        """Compare computed with expected probabilities.

        Args:
            answers: float32 (N, C), computed from ``pixels``.
            thresholds: one per label (0-1) for a multi-label model; ``None`` for a single-label model.

        Returns:
            The number of images with the expected class (or labels), and the largest absolute difference of a
            probability (0-1).
        """
        if thresholds is None:
            same = answers.argmax(axis=1) == self.probabilities.argmax(axis=1)
        else:
            limits = np.array(thresholds, np.float32)
            same = ((answers >= limits) == (self.probabilities >= limits)).all(axis=1)
        return int(same.sum()), float(np.abs(answers - self.probabilities).max())


def _decode(png: bytes, image_height: int | None) -> NDArray[np.uint8]:
    """Decode a PNG that ``to_json`` wrote, and refuse any other.

    Args:
        png: the file's bytes.
        image_height: of each of the stacked images; ``None``: they are square.

    Returns:
        uint8 (N, H, W, 3).

    Raises:
        ValueError: too many pixels, another pixel type, or further chunks.
    """
    kinds: list[bytes] = []
    place = len(_SIGNATURE)
    while place < len(png) and len(kinds) <= MAX_CHUNKS:
        kinds.append(png[place + 4 : place + 8])
        place += 12 + int.from_bytes(png[place : place + 4])
    width, height = struct.unpack(">II", png[16:24])
    if not 0 < width * height <= MAX_PIXELS or height % (image_height or width):
        raise ValueError(f"images of {width}x{height} pixels in all")
    # Pillow uses the last of several headers, wherever it is, and decompresses text and profile chunks.
    plain = place == len(png) and kinds == [b"IHDR", *[b"IDAT"] * (len(kinds) - 2), b"IEND"]
    if not plain or not png.startswith(_SIGNATURE) or png[24:29] != _RGB:
        raise ValueError("the images are not an 8-bit RGB PNG without further chunks")
    with Image.open(io.BytesIO(png), formats=["PNG"]) as sheet:
        return np.asarray(sheet).reshape(-1, image_height or width, width, 3)
