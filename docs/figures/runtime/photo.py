"""Photo to label in one process: decoding, the engine's call, a small picture, and whether the answers agree."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from docs.figures.photos import save_photographs
from docs.figures.runtime.contenders import HandWritten
from docs.figures.runtime.measuring import Bar, interleaved
from runtime import Classifier, ImageError
from runtime.benchmark.timing import measure

SIZES = {2: (1632, 1224), 4: (2304, 1728), 8: (3264, 2448), 12: (4032, 3024), 20: (5184, 3888)}
"""Megapixels: width, height."""
FASTER, NOT_SLOWER, AGREEMENT, OVERHEAD_US, SMALL = 5.0, 1.1, 0.99, 3.0, 1.15
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def photo_to_label(
    ours: Classifier, theirs: HandWritten, folder: Path, rounds: int, megapixels: Sequence[int]
) -> tuple[list[dict[str, Any]], list[Bar]]:
    """Baseline JPEG files from path to label; a row a size and contender, in milliseconds."""
    rows, bars = [], []
    for size in megapixels:
        (path,) = save_photographs(folder, [SIZES[size]], seed=size)
        seconds = interleaved(
            {
                "ours": partial(ours.classify, path),
                "full decode": partial(theirs.naive, path),
                "OpenCV 1/8": partial(theirs.opencv, path),
                "simplejpeg": partial(theirs.simplejpeg, path),
            },
            rounds,
        )
        ms = {name: value * 1e3 for name, value in seconds.items()}
        rows.append({"megapixels": size, "bytes": path.stat().st_size, **ms})
        fastest = min(ms["OpenCV 1/8"], ms["simplejpeg"])
        bars += [
            Bar(
                f"{size} MP JPEG: times faster than full decode",
                ms["ours"],
                ms["full decode"],
                "ms",
                ms["full decode"] / ms["ours"],
                FASTER,
                at_least=True,
            ),
            Bar(
                f"{size} MP JPEG: of the fastest other decoder",
                ms["ours"],
                fastest,
                "ms",
                ms["ours"] / fastest,
                NOT_SLOWER,
            ),
        ]
    return rows, bars


def agreement(ours: Classifier, theirs: HandWritten, paths: Sequence[Path], what: str) -> Bar:
    """The share of photos on which the fast path names the class that the full decode names."""
    pairs = []
    for path in paths:
        try:
            pairs.append((ours.classify(path).label, theirs.full_decode(path)))
        except ImageError:
            continue
    same = sum(label == other for label, other in pairs)
    share = same / max(len(pairs), 1)
    return Bar(
        f"same class as full decode, {len(pairs)} {what}", same, len(pairs), "photos", share, AGREEMENT, at_least=True
    )


def find_photos(folder: Path, most: int) -> list[Path]:
    """At most ``most`` photos below ``folder``, spread evenly over it."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return paths[:: max(1, -(-len(paths) // most))] if paths else []


def small_calls(ours: Classifier, theirs: HandWritten, folder: Path, rounds: int) -> list[Bar]:
    """What is left of the cost where there is little to decode: ``predict``, and ``classify`` of a ready PNG."""
    side = ours.spec.side
    pixels = np.random.default_rng(0).integers(0, 256, (16, side, side, 3)).astype(np.uint8)
    latencies = measure({"ours": ours.predict, "raw": theirs.run}, pixels, rounds * 10)
    predict, raw = latencies["ours"].p50_us, latencies["raw"].p50_us
    path = folder / "ready.png"
    Image.fromarray(pixels[0]).save(path)
    seconds = interleaved({"ours": lambda: ours.classify(path), "hand": lambda: theirs.ready(path)}, rounds * 5, 50)
    png, hand = seconds["ours"] * 1e6, seconds["hand"] * 1e6
    return [
        Bar("predict: beyond the engine's own call", predict, raw, "us", predict - raw, OVERHEAD_US),
        Bar(f"classify a {side}x{side} PNG: of the hand-written loop", png, hand, "us", png / hand, SMALL),
    ]
