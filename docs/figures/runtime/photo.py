"""Benchmark photo to label in one process: decoding, the engine's call, a small picture, and agreement of answers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from docs.figures.bars import Bar, ratio_bar
from docs.figures.photos import save_photographs
from docs.figures.runtime.contenders import HandWritten
from runtime import Classifier, ImageError
from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure, single_images

SIZES = {2: (1632, 1224), 4: (2304, 1728), 8: (3264, 2448), 12: (4032, 3024), 20: (5184, 3888)}
"""Megapixels: width, height."""
FASTER, NOT_SLOWER, AGREEMENT, OVERHEAD_US, SMALL = 5.0, 1.1, 0.99, 3.0, 1.15
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def photo_to_label(
    ours: Classifier, theirs: HandWritten, folder: Path, rounds: int, megapixels: Sequence[int]
) -> tuple[list[dict[str, Any]], list[Bar]]:
    """Time baseline JPEG files from path to label, in ms, for each size and contender."""
    rows, bars = [], []
    for size in megapixels:
        (path,) = save_photographs(folder, [SIZES[size]], seed=size)
        ways: dict[str, Callable[[Path], object]] = {
            "ours": ours.classify,
            "full decode": theirs.naive,
            "OpenCV 1/8": theirs.opencv,
            "simplejpeg": theirs.simplejpeg,
        }
        ms = {name: median_us(timed) / 1e3 for name, timed in measure(ways, [path], rounds, runs=1).items()}
        rows.append({"megapixels": size, "bytes": path.stat().st_size, **ms})
        fastest = min(ms["OpenCV 1/8"], ms["simplejpeg"])
        name = f"{size} MP JPEG"
        speed_up = ms["full decode"] / ms["ours"]
        bars += [
            Bar(f"{name}: times faster than full decode", speed_up, FASTER, at_least=True, ours=ms["ours"],
                theirs=ms["full decode"], unit="ms"),
            ratio_bar(f"{name}: of the fastest other decoder", (ms["ours"], fastest), "ms", NOT_SLOWER),
        ]  # fmt: skip
    return rows, bars


def agreement(ours: Classifier, theirs: HandWritten, paths: Sequence[Path], what: str) -> Bar:
    """Measure the share of photos on which the fast path gives the same class as the full decode."""
    pairs = []
    for path in paths:
        try:
            pairs.append((ours.classify(path).label, theirs.full_decode(path)))
        except ImageError:
            continue
    same = sum(label == other for label, other in pairs)
    name = f"same class as full decode, {len(pairs)} {what}"
    return ratio_bar(name, (same, max(len(pairs), 1)), "photos", AGREEMENT, at_least=True)


def find_photos(folder: Path, most: int) -> list[Path]:
    """Return at most ``most`` photos below ``folder``, evenly spaced in their sorted list."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return paths[:: max(1, -(-len(paths) // most))] if paths else []


def small_calls(ours: Classifier, theirs: HandWritten, folder: Path, rounds: int) -> list[Bar]:
    """Measure the overhead without decoding: of ``predict``, and of ``classify`` for a PNG of the model's size."""
    side = ours.spec.side
    pixels = np.random.default_rng(0).integers(0, 256, (16, side, side, 3)).astype(np.uint8)
    timed = measure({"ours": ours.predict, "raw": theirs.run}, single_images(pixels), rounds * 10)
    predict, raw = median_us(timed["ours"]), median_us(timed["raw"])
    path = folder / "ready.png"
    Image.fromarray(pixels[0]).save(path)
    timed = measure({"ours": ours.classify, "hand": theirs.ready}, [path], rounds * 5, 50)
    png, hand = median_us(timed["ours"]), median_us(timed["hand"])
    name = "predict: beyond the engine's own call"
    return [
        Bar(name, predict - raw, OVERHEAD_US, ours=predict, theirs=raw, unit="us"),
        ratio_bar(f"classify a {side}x{side} PNG: of the hand-written loop", (png, hand), "us", SMALL),
    ]
