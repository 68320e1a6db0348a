"""Measure the memory for fitting a network to many photos, with painted photos and a cheap backbone."""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.report.markdown import table

FIGURES = Path("docs/many-photos.json")
DOCUMENT = Path("docs/own-photos.md")
CLASSES, VIEWS, FEATURES = 4, 2, 1280
EVERY_S = 0.05

Row = dict[str, Any]


def measure(photos: int, side: int) -> Row:
    """Fit a network to this number of painted photos in a process of its own; return time and peak memory."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (photos, side))


def _measure(photos: int, side: int) -> Row:
    from pipeline.data import folder
    from pipeline.data.photo_settings import Settings
    from pipeline.training.transfer.run import Recipe, fit_to_photos

    with tempfile.TemporaryDirectory(prefix="many-photos-") as place:
        root = Path(place) / "photos"
        _paint(root, photos, side)
        os.environ["EDGECNN_DATA"] = str(Path(place) / "cache")
        backbone, started = _cheap_backbone(side), time.monotonic()
        with _watched() as peak:
            loaded = folder.load(root, Settings(side=side, any_side=True))
            history = fit_to_photos(loaded, backbone, Recipe(VIEWS), Path(place) / "out")
    found = history.out_of_fold
    return {
        "photos": photos,
        "side": side,
        "views": VIEWS,
        "features": FEATURES,
        "squares_mib": round(photos * side * side * 3 / 2**20, 1),
        "memory_mib": round(peak[0] / 2**20, 1),
        "seconds": round(time.monotonic() - started, 1),
        "out_of_fold": found.accuracy if found else None,
    }


def _paint(root: Path, photos: int, side: int) -> None:
    """Write photos of noisy blocks, with a mean color for each class."""
    random, colors = np.random.default_rng(0), np.eye(CLASSES, 3) * 60 + 90
    for number in range(photos):
        label = number % CLASSES
        (root / f"class{label}").mkdir(parents=True, exist_ok=True)
        blocks = np.clip(colors[label] + random.normal(0, 50, (8, 8, 3)), 0, 255).astype(np.uint8)
        image = Image.fromarray(blocks).resize((side, side), Image.Resampling.NEAREST)
        image.save(root / f"class{label}" / f"{number}.jpg", quality=85)


def _cheap_backbone(side: int) -> Any:
    """Build a backbone with as many features as EfficientNet-Lite0, random ones, at a thousandth of its cost."""
    import keras
    from keras import layers

    from pipeline.export.load.scaling import PixelScaling
    from pipeline.training.transfer.backbone import Backbone

    keras.utils.set_random_seed(0)
    image = keras.Input((side, side, 3))
    x = layers.Flatten()(layers.AveragePooling2D(side // 8)(image))
    x = layers.Dense(FEATURES, "relu")(x)
    backbone = Backbone("painted", keras.Model(image, x), PixelScaling((1 / 255,) * 3))
    backbone.features(np.zeros((1, side, side, 3), np.uint8))  # so that the libraries' own memory is not counted
    return backbone


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Yield a list whose item is the growth of this process's anonymous memory at its peak, in bytes."""
    first, peak, done = _anonymous(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(EVERY_S):
            peak[0] = max(peak[0], _anonymous() - first)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def _anonymous() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def publish(rows: list[Row], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the rows to ``path`` and the table between its markers in ``document``."""
    artifacts.write_json(path, rows)
    replace_marked(document, "many photos", many_photos_table(rows))


def many_photos_table(rows: list[Row]) -> str:
    """Format the memory by number of photos."""
    cells = [[f"{row['photos']:,}", f"{row['squares_mib']:,.0f}", f"{row['memory_mib']:,.0f}"] for row in rows]
    return table(["photos", "MiB of pixels", "MiB of memory"], cells, "rrr")


def say(row: Row) -> None:
    """Print a row as one line on stderr."""
    print(f"{row['photos']:,} photos: {row['memory_mib']:,.0f} MiB, {row['seconds']:.0f} s", file=sys.stderr)
