"""Statistics of a frame for drift monitoring, and their summary over validation images, stored in the model spec."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.drift.charts import MIX_BINS
from runtime.engines.base import Pixels

QUANTILES = (0, 5, 25, 50, 75, 95, 100)
"""Percentiles of each statistic over the validation images that ``picture`` stores."""


DARK = 4.0
"""Added to each channel's mean (0-255), so that noise in a dark picture does not count as color."""


def appearance(pixels: Pixels) -> dict[str, float]:
    """Compute statistics of a frame's appearance, independent of its content.

    Args:
        pixels: uint8 (H, W, 3), RGB, as the model gets them.

    Returns:
        ``brightness``: mean luma, 0-255; ``sharpness``: log2(1 + variance of the luma's Laplacian); ``redness``:
        log2(red / blue); ``greenness``: log2(green / sqrt(red * blue)), of the channels' means. The intensity of the
        light affects redness and greenness little.
    """
    red, green, blue = (pixels.reshape(-1, 3).mean(axis=0) + DARK).tolist()
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    return {
        "brightness": float(luma.mean()),
        "sharpness": float(np.log2(1 + laplacian.var())) if laplacian.size else 0.0,
        "redness": math.log2(red / blue),
        "greenness": math.log2(green / math.sqrt(red * blue)),
    }


def mix_bin(label: int, class_count: int) -> int:
    """Return the index of the bin that counts a class; with more than ``MIX_BINS`` classes, neighbors share one."""
    return label if class_count <= MIX_BINS else label * MIX_BINS // class_count


def summary(looks: Iterable[dict[str, float]], answers: NDArray[np.float32], unknown: float | None) -> dict[str, Any]:
    """Summarize the validation images for the spec: ``ModelSpec.validation``, under 1 KB of JSON.

    Args:
        looks: ``appearance`` for each image, or for a sample of them.
        answers: probabilities, float32 (N, C).
        unknown: share (0-1) of the images that show none of the classes; ``None`` if the model cannot tell.
    """
    rows = list(looks)
    values: dict[str, Sequence[float]] = {name: [row[name] for row in rows] for name in rows[0]}
    values["confidence"] = answers.max(axis=1).tolist()
    bins = [mix_bin(label, answers.shape[1]) for label in answers.argmax(axis=1).tolist()]
    counts = np.bincount(bins, minlength=min(answers.shape[1], MIX_BINS))
    return {
        "images": len(answers),
        "quantiles": {
            name: [round(float(value), 3) for value in np.percentile(column, QUANTILES)]
            for name, column in values.items()
        },
        "mix": [round(float(share), 4) for share in counts / counts.sum()],
        **({} if unknown is None else {"unknown": round(unknown, 4)}),
    }
