"""Benchmark reading a folder of photos against Keras's loader, on the same files, interleaved."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from PIL import features

from docs.figures.bars import Bar, ratio_bar
from docs.figures.files import BENCHMARK_READING
from docs.figures.photos import save_photographs
from docs.figures.reading import parts
from docs.figures.reading.contenders import WAYS, Cost, empty_cache, in_a_new_process, in_this_process
from pipeline import artifacts
from pipeline.data import folder
from pipeline.data.cifar10 import cache_dir
from pipeline.data.photo_settings import Settings
from runtime.benchmark.environment import describe_device
from runtime.benchmark.timing import shuffled, stopwatch

OURS, KERAS = WAYS
START_PHOTOS, START_LIMIT_S = 10_000, 2.0
NEW_PROCESSES = 3
PART_ROUNDS, PART_FILES = 3, 16


@dataclass(frozen=True)
class PhotoSet:
    """A set of photo files.

    Attributes:
        width, height: of each picture in pixels.
        pictures: number of painted pictures.
        files: number of links to them in the folder.
        encoding: a key of ``docs.figures.photos.ENCODINGS``.
        limit: lower limit of our speed as a ratio to Keras's; ``None`` if there is no limit.
    """

    width: int
    height: int
    pictures: int
    files: int
    encoding: str = "jpeg"
    limit: float | None = None


SETS = {
    "12 megapixels": PhotoSet(4000, 3000, 8, 32, limit=3.0),
    "12 megapixels, progressive": PhotoSet(4000, 3000, 8, 32, "progressive"),
    "500 pixels": PhotoSet(500, 375, 64, 1_280, limit=1.0),
}


def benchmark_data(out: Path, side: int, rounds: int) -> dict[str, Any]:
    """Time both loaders on large and small JPEG files, then reading from the cache; write ``benchmark_data.json``.

    Ours lists and decodes the photos and fills an empty cache each time; Keras's lists and decodes, with batching and
    prefetching.

    Returns:
        The content of ``benchmark_data.json``: rate and CPU time of each loader, in a process that has loaded its
        libraries and in a new one; the time of each part of reading a photo; each claim and whether it is met.
    """
    with tempfile.TemporaryDirectory() as scratch:
        measured = {name: _measure(Path(scratch) / name, photos, side, rounds) for name, photos in SETS.items()}
        started = _second_start(_lay_out(Path(scratch) / "start", SETS["500 pixels"], START_PHOTOS), side)
    bars = []
    for name, photos in SETS.items():
        if photos.limit is not None:
            ours, keras_way = (measured[name]["ways"][way]["images_per_second"] for way in (OURS, KERAS))
            claim = f"{name}: images a second, {OURS} / {KERAS}"
            bars.append(ratio_bar(claim, (ours, keras_way), "1/s", photos.limit, at_least=True))
    bars.append(Bar(f"second start with {START_PHOTOS:,} photos, seconds", started, START_LIMIT_S))
    report = {
        "machine": asdict(describe_device()),
        "load_average": os.getloadavg()[0],
        "versions": {
            **{package: version(package) for package in ("pillow", "tensorflow", "keras")},
            "libjpeg-turbo": features.version("libjpeg_turbo"),
        },
        "side": side,
        "rounds": rounds,
        "sets": measured,
        "cached_images_per_second": START_PHOTOS / started,
        "bars": [bar.to_json() for bar in bars],
    }
    artifacts.write_json(out / BENCHMARK_READING, report)
    return report


def _lay_out(root: Path, photos: PhotoSet, files: int | None = None) -> Path:
    """Make a folder of two classes with links to painted photos, which are kept for later runs."""
    pictures = save_photographs(
        cache_dir() / "benchmark", [(photos.width, photos.height)] * photos.pictures, (photos.encoding,)
    )
    for number in range(files or photos.files):
        picture = number % len(pictures)
        link = root / "ab"[picture % 2] / f"{number}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(pictures[picture])
    return root


def _measure(root: Path, photos: PhotoSet, side: int, rounds: int) -> dict[str, Any]:
    """Time both loaders on one set, and the parts of reading one photo."""
    _lay_out(root, photos)
    files = sorted(root.rglob("*.jpg"))
    loaded = _race(in_this_process, root, side, rounds, warm_up=True)
    new = _race(in_a_new_process, root, side, min(rounds, NEW_PROCESSES), warm_up=False)
    ways = {
        way: {
            "images_per_second": len(files) / median(cost.wall_s for cost in loaded[way]),
            "processor_ms": 1_000 * median(cost.processor_s for cost in loaded[way]) / len(files),
            "new_process_s": median(cost.wall_s for cost in new[way]),
            "new_process_processor_s": median(cost.processor_s for cost in new[way]),
        }
        for way in WAYS
    }
    spec = Settings(side=side, any_side=True).spec(("a", "b"))
    chosen = files[:: max(1, len(files) // PART_FILES)][:PART_FILES]
    return {
        "files": len(files),
        "bytes_a_file": round(sum(file.stat().st_size for file in files) / len(files)),
        "ways": ways,
        "parts_ms": parts.processor_ms(chosen, spec, PART_ROUNDS),
    }


def _race(
    measure: Callable[[str, Path, int], Cost], root: Path, side: int, rounds: int, *, warm_up: bool
) -> dict[str, list[Cost]]:
    """Measure the costs of each loader, interleaved."""
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    if warm_up:
        for way in WAYS:
            measure(way, root, side)
    for order in shuffled([tuple(WAYS)] * rounds):
        for way in order:
            costs[way].append(measure(way, root, side))
    return costs


def _second_start(root: Path, side: int) -> float:
    """Return the seconds of loading a folder that is already in the cache; the minimum of three."""
    settings = Settings(side=side, any_side=True)
    with empty_cache():
        folder.load(root, settings)
        return min(stopwatch(lambda _: folder.load(root, settings), range(3))) / 1e9
