"""Augmentation: the changes to all images of an epoch are drawn beforehand, then applied batch by batch.

A pass depends only on its seed, so a resumed run sees the same images, and a teacher's outputs on them can be cached.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.calibration import softmax
from pipeline.training.settings import Settings

GRAY = 128
MIXUP_ALPHA = 0.2
ERASED_AREA = (0.02, 0.25)
SMALLEST_PROBABILITY = 1e-7

Pixels = NDArray[np.uint8]
Indices = NDArray[np.integer]


@dataclass(frozen=True)
class Pass:
    """The augmentation of all N images of a set in one pass.

    Attributes:
        margin: the largest shift in pixels.
        shift: int (N, 2), shift in rows and columns; the image is reflected beyond its edges.
        flip: bool (N,), left to right.
        gain: float32 (N, 2), factors of brightness and of contrast.
        erased: int (N, 4), box that is filled with gray (top, bottom, left, right); of size 0 for none.
        partner: int (N,), index of the image that is mixed in.
        cut: int (N, 4), box that is taken from the partner; of size 0 for none.
        share: float32 (N,), the image's own share of the result, 0-1.
        cut_mixed: bool (N,), whether images are mixed by a box (CutMix), else by blending (MixUp).
    """

    margin: int
    shift: NDArray[np.int64]
    flip: NDArray[np.bool_]
    gain: NDArray[np.float32]
    erased: NDArray[np.int64]
    partner: NDArray[np.int64]
    cut: NDArray[np.int64]
    share: NDArray[np.float32]
    cut_mixed: NDArray[np.bool_]


def draw(count: int, size: tuple[int, int], settings: Settings, seed: tuple[int, ...]) -> Pass:
    """Draw the augmentation of ``count`` images of ``size`` (height, width); the same seed gives the same result."""
    random, smaller = np.random.default_rng(seed), min(size)
    margin = min(round(settings.shift * smaller), smaller - 1)
    kind = random.random(count)
    cut_mixed, mixed_up = kind < settings.cutmix, kind >= 1 - settings.mixup
    cut = _boxes(random, 1 - random.random(count), size) * cut_mixed[:, None]
    share = 1 - ((cut[:, 1] - cut[:, 0]) * (cut[:, 3] - cut[:, 2]) / (size[0] * size[1])).astype(np.float32)
    blend = random.beta(MIXUP_ALPHA, MIXUP_ALPHA, count).astype(np.float32)
    erased = _boxes(random, random.uniform(*ERASED_AREA, count), size)
    return Pass(
        margin=margin,
        shift=random.integers(-margin, margin + 1, (count, 2)),
        flip=random.random(count) < settings.flip,
        gain=random.uniform(1 - settings.color, 1 + settings.color, (count, 2)).astype(np.float32),
        erased=erased * (random.random(count) < settings.random_erasing)[:, None],
        partner=random.permutation(count),
        cut=cut,
        share=np.where(mixed_up, np.maximum(blend, 1 - blend), share),
        cut_mixed=cut_mixed,
    )


def _boxes(random: np.random.Generator, area: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    """Draw boxes with the image's aspect ratio and about ``area`` (share of the image), clipped at its edges.

    Returns:
        int (N, 4): top, bottom, left, right.
    """
    edges = []
    for extent in size:
        half = np.round(np.sqrt(area) * extent / 2).astype(np.int64)
        middle = random.integers(0, extent, len(area))
        edges += [np.clip(edge, 0, extent) for edge in (middle - half, middle + half)]
    return np.stack(edges, axis=1)


def apply(pixels: Pixels, planned: Pass, indices: Indices) -> Pixels:
    """Augment the images at ``indices``.

    Args:
        pixels: uint8 (N, H, W, 3), the whole set; may be memory-mapped.
        planned: the augmentation of the pass.
        indices: int (B,).

    Returns:
        uint8 (B, H, W, 3).
    """
    result = _alone(pixels, planned, indices)
    mixed = np.flatnonzero(planned.share[indices] < 1)
    if mixed.size:
        chosen = indices[mixed]
        partners = _alone(pixels, planned, planned.partner[chosen])
        weight = np.where(
            planned.cut_mixed[chosen, None, None],
            ~_inside(planned.cut[chosen], *result.shape[1:3]),
            planned.share[chosen, None, None],
        ).astype(np.float32)[..., None]
        result[mixed] = np.rint(weight * result[mixed] + (1 - weight) * partners)
    return result


def targets(labels: NDArray[np.integer], class_count: int, planned: Pass, indices: Indices) -> NDArray[np.float32]:
    """Return the targets of the images at ``indices``, mixed like the images: float32 (B, C), rows sum to 1."""
    classes = np.eye(class_count, dtype=np.float32)
    share = planned.share[indices, None]
    result: NDArray[np.float32] = (
        share * classes[labels[indices]] + (1 - share) * classes[labels[planned.partner[indices]]]
    )
    return result


def mix_predictions(logits: NDArray[np.float32], planned: Pass) -> NDArray[np.float32]:
    """Mix the probabilities of the unmixed images like the images (CutMix, MixUp).

    Args:
        logits: float32 (N, C), of all N images.
        planned: the augmentation of the pass.

    Returns:
        Log-probabilities, float32 (N, C).
    """
    probabilities, share = softmax(logits), planned.share[:, None]
    mixed = share * probabilities + (1 - share) * probabilities[planned.partner]
    result: NDArray[np.float32] = np.log(np.maximum(mixed, SMALLEST_PROBABILITY)).astype(np.float32)
    return result


def _alone(pixels: Pixels, planned: Pass, indices: Indices) -> Pixels:
    """Apply shift, flip, color and erasing, but no mixing, to the images at ``indices``."""
    height, width = pixels.shape[1:3]
    margin = planned.margin
    padded = np.pad(pixels[indices], ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    top, left = (planned.shift[indices] + margin).T
    result: Pixels = windows[np.arange(len(indices)), top, left].transpose(0, 2, 3, 1)
    flip = planned.flip[indices]
    result[flip] = result[flip, :, ::-1]
    gain = planned.gain[indices]
    if np.any(gain != 1):
        result = _colored(result, gain)
    erased = planned.erased[indices]
    if erased.any():
        result[_inside(erased, height, width)] = GRAY
    return result


def _colored(images: Pixels, gain: NDArray[np.float32]) -> Pixels:
    brightness, contrast = (gain[:, index, None, None, None] for index in range(2))
    mean = images.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float32)
    changed = brightness * (mean + contrast * (images - mean))
    result: Pixels = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return result


def _inside(boxes: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Return which pixels lie in each box: bool (B, H, W)."""
    row, column = np.arange(height), np.arange(width)
    rows = (row >= boxes[:, :1]) & (row < boxes[:, 1:2])
    columns = (column >= boxes[:, 2:3]) & (column < boxes[:, 3:])
    result: NDArray[np.bool_] = rows[:, :, None] & columns[:, None, :]
    return result
