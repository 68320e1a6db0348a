"""Measure the memory of ``train`` on many painted photos, with a cheap backbone."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.documents.history import History
from pipeline.text import table

FIGURES = Path("docs/many-photos.json")
DOCUMENT = Path("docs/own-photos.md")
CLASSES, VIEWS, FEATURES = 4, 2, 1280
EVERY_S = 0.02
MINUTES = 600
"""So much time that ``train`` reduces neither the number of views nor the size of images."""

Row = dict[str, Any]


def measure(photos: int, side: int) -> Row:
    """Run ``train`` on this number of painted photos and return time and peak memory of its process."""
    with tempfile.TemporaryDirectory(prefix="many-photos-") as place:
        root, out, network = (Path(place) / name for name in ("photos", "out", "network.keras"))
        _paint(root, photos, side)
        _write_cheap_network(network, side)
        train = ["train", "--data", str(root), "--backbone", str(network), "--out", str(out)]
        command = [sys.executable, "-m", "pipeline", *train, "--views", str(VIEWS), "--minutes", str(MINUTES)]
        started = time.monotonic()
        peak = _watched(command, os.environ | {"EDGECNN_DATA": str(Path(place) / "cache")})
        seconds, history = time.monotonic() - started, History.read(out)
    found = history.out_of_fold
    return {
        "photos": photos,
        "side": side,
        "views": VIEWS,
        "features": FEATURES,
        "squares_mib": round(photos * side * side * 3 / 2**20, 1),
        "features_mib": round(photos * VIEWS * FEATURES * 2 / 2**20, 1),
        "memory_mib": round(peak.anonymous / 2**20, 1),
        "with_files_mib": round(peak.resident / 2**20, 1),
        "processor_seconds": round(peak.processor_s, 1),
        "seconds": round(seconds, 1),
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


def _write_cheap_network(path: Path, side: int) -> None:
    """Write a classifier with as many features as EfficientNet-Lite0, random ones, at a thousandth of its cost."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((side, side, 3))
    x = layers.Flatten()(layers.AveragePooling2D(side // 8)(layers.Rescaling(1 / 255)(image)))
    x = layers.Dense(FEATURES, "relu")(x)
    keras.Model(image, layers.Dense(CLASSES, "softmax")(x)).save(path)


@dataclass
class _Peak:
    """Peak memory of a process in bytes, and its processor time.

    Attributes:
        anonymous: memory that no file backs, which the system cannot drop.
        resident: all memory, including pages of files, which the system drops when it needs memory.
        processor_s: processor time of all threads in seconds.
    """

    anonymous: int = 0
    resident: int = 0
    processor_s: float = 0.0


def _watched(command: list[str], environment: dict[str, str]) -> _Peak:
    """Run a command to its end, and read ``RssAnon`` and ``VmRSS`` every ``EVERY_S`` seconds."""
    peak = _Peak()
    before = os.times()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - ours
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        sizes = {
            name: int(rest.split()[0]) * 1024
            for name, _, rest in (line.partition(":") for line in lines)
            if name in {"RssAnon", "VmRSS"}
        }
        peak.anonymous = max(peak.anonymous, sizes.get("RssAnon", 0))
        peak.resident = max(peak.resident, sizes.get("VmRSS", 0))
        time.sleep(EVERY_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    after = os.times()
    peak.processor_s = sum(after[2:4]) - sum(before[2:4])
    return peak


def publish(rows: list[Row], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the rows to ``path`` and the table between its markers in ``document``."""
    artifacts.write_json(path, rows)
    replace_marked(document, "many photos", many_photos_table(rows))


def many_photos_table(rows: list[Row]) -> str:
    """Format the memory by number of photos."""
    names = ("squares_mib", "features_mib", "memory_mib", "with_files_mib")
    cells = [[f"{row['photos']:,}", *(f"{row[name]:,.0f}" for name in names)] for row in rows]
    header = ["photos", "MiB of pixels", "MiB of features", "MiB of memory", "with pages of files"]
    return table(header, cells, "rrrrr")


def say(row: Row) -> None:
    """Print a row as one line on stderr."""
    memory, minutes = row["memory_mib"], row["processor_seconds"] / 60
    print(f"{row['photos']:,} photos: {memory:,.0f} MiB, {minutes:.1f} minutes of the processor", file=sys.stderr)
