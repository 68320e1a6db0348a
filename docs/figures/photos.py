"""Synthesize photographs from a seed: pictures that decode, compress and resize like real photographs.

Natural images have a power spectrum that falls as 1/f² (D. J. Field, "Relations between the statistics of natural
images and the response properties of cortical cells", 1987), and edges where one object occludes another. Both are
made here: occluding discs and polygons with power-law sizes (the dead leaves model, A. B. Lee, D. Mumford, J. Huang,
"Occlusion models for natural images", 2001), under light and texture with that spectrum, and sensor noise. The strength
of the texture varies across the picture, as in sky, defocus and foliage (M. J. Wainwright, E. P. Simoncelli, "Scale
mixtures of Gaussians and the statistics of natural images", 2000).
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]

ENCODINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": (".jpg", {"format": "JPEG", "quality": 90, "subsampling": "4:2:0"}),
    "progressive": ("_progressive.jpg", {"format": "JPEG", "quality": 90, "subsampling": "4:2:0", "progressive": True}),
    "png": (".png", {"format": "PNG", "compress_level": 3}),
    "webp": (".webp", {"format": "WEBP", "quality": 90, "method": 2}),
}
"""Name of each encoding -> end of the file name, and options of Pillow's ``save``."""

_COARSE_SIDE = 512
_TILE_SIDE = 1024
_LEAVES = 900
_OCTAVE_CONTRAST = 6.0  # standard deviation of an octave of light and texture, in gray levels
_NOISE = 1.5
# Rows: brightness, which varies most, blue against yellow, red against green; columns: weights for R, G and B.
_COLOR_AXES = np.array([[1, 1, 1], [0.3, 0.05, -0.4], [0.15, -0.12, 0.0]], np.float32)


def photograph(width: int, height: int, seed: int) -> Pixels:
    """Paint one picture. The same arguments give the same pixels.

    Args:
        width: in pixels.
        height: in pixels; 20 megapixels take a few seconds.
        seed: of the picture.

    Returns:
        uint8 (H, W, 3), RGB, 0-255.
    """
    generator = np.random.default_rng(seed)
    pixels = np.asarray(_leaves(width, height, generator)).copy()
    shrink = max(1.0, max(width, height) / _COARSE_SIDE)
    coarse_height, coarse_width = math.ceil(height / shrink), math.ceil(width / shrink)
    fields = [_spectral_field(coarse_height, coarse_width, generator) for _ in _COLOR_AXES]
    light = np.stack(fields, axis=2) @ _COLOR_AXES * (_OCTAVE_CONTRAST * math.sqrt(math.log2(_COARSE_SIDE)))
    roughness = _enlarged(
        np.clip(0.6 + 0.8 * _spectral_field(coarse_height, coarse_width, generator), 0, 2), width, height
    )
    detail, noise = _tiles(shrink, generator)
    columns = np.arange(width) % _TILE_SIDE
    for channel in range(3):
        light_channel = _enlarged(light[:, :, channel], width, height)
        for top in range(0, height, _TILE_SIDE):  # in bands, to need less memory for 20 megapixels
            band = pixels[top : top + _TILE_SIDE, :, channel]
            painted = np.take(detail[: len(band)], columns, axis=1)
            painted *= roughness[top : top + _TILE_SIDE]
            painted += np.take(noise[: len(band), :, channel], columns, axis=1)
            painted += light_channel[top : top + _TILE_SIDE]
            painted += band
            band[:] = np.clip(painted, 0, 255)
    return pixels


def save_photographs(
    folder: Path, sizes: Iterable[tuple[int, int]], encodings: Sequence[str] = ("jpeg",), seed: int = 0
) -> list[Path]:
    """Write a photograph of each size in each encoding, for benchmarks and tests; existing files are kept.

    Args:
        folder: made if it is missing.
        sizes: (width, height) in pixels of each picture.
        encodings: names in ``ENCODINGS``.
        seed: of the first picture; each further picture has the next number.

    Returns:
        The files: all encodings of the first picture, then of the second.
    """
    from pipeline.artifacts import atomic_path  # the runtime's tests paint photographs without the pipeline

    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for number, (width, height) in enumerate(sizes, seed):
        targets = {folder / f"photo_{width}x{height}_{number}{ENCODINGS[name][0]}": name for name in encodings}
        missing = {path: name for path, name in targets.items() if not path.exists()}
        if missing:
            picture = Image.fromarray(photograph(width, height, number))
            for path, name in missing.items():
                with atomic_path(path) as temporary:
                    picture.save(temporary, **ENCODINGS[name][1])
        paths += targets
    return paths


def _leaves(width: int, height: int, generator: np.random.Generator) -> Image.Image:
    """Paint discs and polygons, large ones first, with radii distributed as r⁻³ and slightly blurred edges."""
    image = Image.new("RGB", (width, height), (128, 128, 128))
    draw = ImageDraw.Draw(image)
    scale = math.hypot(width, height)
    radii = np.sort(0.014 * scale / np.sqrt(generator.uniform(0.0005, 1, _LEAVES)))[::-1]
    for radius in radii:
        x, y = generator.uniform(0, width), generator.uniform(0, height)
        # Objects higher up are brighter, like the sky.
        gray = generator.normal(135 - 45 * (y / height - 0.5), 45)
        tint = generator.normal(0, 40, 2) @ _COLOR_AXES[1:]
        color = tuple(int(value) for value in np.clip(gray + tint, 0, 255))
        if generator.random() < 0.5:
            flatness = generator.uniform(0.4, 1)
            draw.ellipse((x - radius, y - radius * flatness, x + radius, y + radius * flatness), fill=color)
        else:
            angles = np.sort(generator.uniform(0, 2 * math.pi, 5))
            draw.polygon([(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles], color)
    return image.filter(ImageFilter.BoxBlur(scale / 4000))


def _spectral_field(height: int, width: int, generator: np.random.Generator, lowest: float = 0.0) -> Field:
    """Draw noise with standard deviation 1 whose amplitude falls as 1/f above ``lowest`` cycles per pixel.

    Returns:
        float32 (height, width).
    """
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    frequency = np.hypot(rows, columns)
    amplitude = np.where(frequency > lowest, 1 / np.maximum(frequency, 1 / max(height, width)), 0)
    phases = generator.standard_normal((2, *frequency.shape), np.float32)
    field = np.fft.irfft2((phases[0] + 1j * phases[1]) * amplitude, (height, width)).astype(np.float32)
    return np.asarray(field / max(float(field.std()), 1e-6), np.float32)


def _enlarged(field: Field, width: int, height: int) -> Field:
    return np.asarray(Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC))


def _tiles(shrink: float, generator: np.random.Generator) -> tuple[Field, Field]:
    """Make seamless tiles: of octaves finer than the coarse light, and of sensor noise."""
    detail = _spectral_field(_TILE_SIDE, _TILE_SIDE, generator, lowest=0.5 / shrink)
    # A lens attenuates the finest octaves.
    detail *= _OCTAVE_CONTRAST * 0.5 * math.sqrt(math.log2(shrink))
    return detail, generator.standard_normal((_TILE_SIDE, _TILE_SIDE, 3), np.float32) * _NOISE
