"""Time each step of classifying a photo file: read, decode, resize, inference."""

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from runtime.engines.base import Pixels, Probabilities
from runtime.errors import ImageDecodeError
from runtime.image.decode import open_image, open_regular
from runtime.image.load import decoded, load_pixels, to_pixels
from runtime.spec import ModelSpec

WIDTH, HEIGHT = 1920, 1080
PARTS = ("read", "decode", "resize", "inference", "total")


def write_photo(path: Path) -> None:
    """Write a JPEG with structure at every scale, so that decoding it takes as long as decoding a photo."""
    random, levels = np.random.default_rng(0), np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for size in (4, 16, 64, 256, 1024):
        noise = Image.fromarray(random.integers(0, 256, (size * HEIGHT // WIDTH, size, 3)).astype(np.uint8))
        levels += np.asarray(noise.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32) / size**0.5
    levels -= levels.min()
    Image.fromarray((levels * (255 / levels.max())).astype(np.uint8)).save(path, "JPEG", quality=90)


@dataclass(frozen=True)
class Photo:
    """An image file: its size in pixels and bytes, and its format, ``JPEG`` for example."""

    width: int
    height: int
    bytes: int
    format: str


def describe_photo(path: Path) -> Photo:
    """Read the size and format of an image file.

    Raises:
        ImageError: the file cannot be read as an image.
    """
    try:
        with open_regular(path) as file:
            image = open_image(file).image
            return Photo(image.width, image.height, path.stat().st_size, str(image.format))
    except (OSError, ValueError) as error:
        raise ImageDecodeError(f"{path}: not a photo that can be read ({error})") from error


def split(run: Callable[[Pixels], Probabilities], spec: ModelSpec, path: str, runs: int) -> dict[str, list[int]]:
    """Time each step, and all steps in one call, ``runs`` times alternately.

    Args:
        run: maps pixels, uint8 (N, H, W, 3), to probabilities, float32 (N, C).
        spec: the model's spec.
        path: the photo file.
        runs: number of repetitions.

    Returns:
        Run times in nanoseconds, for each of ``PARTS``.
    """
    clock = time.perf_counter_ns
    nanoseconds: dict[str, list[int]] = {name: [] for name in PARTS}
    for _ in range(runs):
        marks = [clock()]
        with open_regular(path) as file:
            content = file.read()
        marks.append(clock())
        image, plan = decoded(io.BytesIO(content), spec)
        marks.append(clock())
        pixels = to_pixels(image, plan, spec)
        marks.append(clock())
        run(pixels[np.newaxis])
        marks.append(clock())
        run(load_pixels(path, spec)[np.newaxis])
        marks.append(clock())
        for name, before, after in zip(PARTS, marks[:-1], marks[1:], strict=True):
            nanoseconds[name].append(after - before)
    return nanoseconds
