"""``--crop`` and ``--min-change``: classify a part of each frame, and skip frames that have not changed."""

import os
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from runtime.classifier import Classifier, Decoder
from runtime.errors import ImageError
from runtime.image.decode import decode, open_image, open_regular
from runtime.image.load import ImageSource, Pixels
from runtime.prediction import Prediction
from runtime.spec import ModelSpec

CELLS = 8
"""Frames are compared in a grid of this many rows and columns, so that a small local change is noticed."""


class Box(NamedTuple):
    """A part of a frame, in pixels from the upper left corner of the image as stored (before EXIF orientation)."""

    x: int
    y: int
    width: int
    height: int


class FrameResult(NamedTuple):
    """The prediction for a frame, its pixels for the model, and whether the prediction is an earlier frame's."""

    prediction: Prediction
    pixels: Pixels
    is_repeated: bool = False


def cropped(decoder: Decoder, box: Box) -> Decoder:
    """Return a decoder that passes only a part of each image to ``decoder``.

    Encoded images are decoded at full size in this process to cut out the part, within the usual memory limit.
    """

    def decode_part(image: ImageSource, spec: ModelSpec) -> Pixels:
        return decoder(_part(image, box), spec)

    return decode_part


def largest_change(before: Pixels, after: Pixels) -> float:
    """Return the mean absolute difference (0-255) in the most changed cell of two images, uint8 (H, W, 3)."""
    difference = np.abs(before.astype(np.int16) - after).mean(axis=2)
    for axis in (0, 1):
        size = difference.shape[axis]
        starts = np.unique(np.arange(CELLS) * size // CELLS)
        widths = np.diff(np.append(starts, size))
        sums = np.add.reduceat(difference, starts, axis=axis)
        difference = sums / (widths[:, np.newaxis] if axis == 0 else widths)
    return float(difference.max())


class FrameClassifier:
    """A classifier of successive frames; an unchanged frame gets the last prediction without inference.

    Args:
        classifier: the classifier.
        min_change: a frame is classified if ``largest_change`` (0-255) since the last classified frame is at least
            this; 0 classifies every frame.
        top: how many classes to list.
    """

    def __init__(self, classifier: Classifier, min_change: float = 0.0, top: int = 5) -> None:
        self.classifier, self._min_change, self._top = classifier, min_change, top
        self._pixels: Pixels | None = None
        self._answer: Prediction | None = None

    def classify(self, image: ImageSource) -> FrameResult:
        """Classify a frame.

        Raises:
            ImageError: it cannot be read, or the part to classify reaches beyond it.
        """
        pixels = self.classifier.decoder(image, self.classifier.spec)
        if not self._min_change:
            return FrameResult(self.classifier.classify_pixels(pixels, self._top), pixels)
        if self._answer and self._pixels is not None and largest_change(self._pixels, pixels) < self._min_change:
            return FrameResult(self._answer, pixels, is_repeated=True)
        self._pixels = pixels
        self._answer = self.classifier.classify_pixels(pixels, self._top)
        return FrameResult(self._answer, pixels)


def _part(image: ImageSource, box: Box) -> Image.Image:
    if isinstance(image, np.ndarray):
        return _cut(Image.fromarray(image), box)
    if isinstance(image, Image.Image):
        return _cut(image, box)
    if isinstance(image, str | os.PathLike):
        with open_regular(image) as file:
            return _from_encoded(file, box)
    return _from_encoded(image, box)


def _from_encoded(source: bytes | BinaryIO, box: Box) -> Image.Image:
    opened = open_image(source)
    decode(opened, 1)
    return _cut(opened.image, box)


def _cut(image: Image.Image, box: Box) -> Image.Image:
    x, y, width, height = box
    if x + width > image.width or y + height > image.height:
        raise ImageError(
            f"the part {x},{y},{width},{height} (x, y, width, height) reaches beyond the picture of "
            f"{image.width}x{image.height} pixels"
        )
    return image.crop((x, y, x + width, y + height))
