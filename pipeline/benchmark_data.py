"""Our way from a folder of photos to squares against Keras's, on the same files, taking turns."""

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import keras
import tensorflow as tf

from pipeline import artifacts
from pipeline.data import folder
from pipeline.data.cifar10 import cache_dir
from pipeline.data.photo_cache import decode
from pipeline.data.photos import save_photographs
from pipeline.data.scan import scan
from pipeline.machine import describe_machine

OURS, KERAS = "edgecnn", "image_dataset_from_directory"
START_PHOTOS, START_LIMIT_S = 10_000, 2.0
BATCH_SIZE = 32


@dataclass(frozen=True)
class PhotoSet:
    """One set of files: ``pictures`` painted, ``files`` links to them, and how many times faster ours must be."""

    width: int
    height: int
    pictures: int
    files: int
    limit: float


SETS = {"12 megapixels": PhotoSet(4000, 3000, 8, 32, 3.0), "500 pixels": PhotoSet(500, 375, 64, 1_280, 1.0)}


def benchmark_data(out: Path, side: int, rounds: int) -> dict[str, Any]:
    """Time both ways on large and small JPEG files, then a second start, and write ``benchmark_data.json``.

    Ours lists, decodes and fills an empty cache each time; Keras's lists and decodes, batched and prefetched.

    Returns:
        What ``benchmark_data.json`` holds: rate and processor time of each way, and each bar with whether it is met.
    """
    with tempfile.TemporaryDirectory() as scratch:
        measured = {name: _race(_lay_out(Path(scratch) / name, photos), side, rounds) for name, photos in SETS.items()}
        small = SETS["500 pixels"]
        started = _second_start(_lay_out(Path(scratch) / "start", small, START_PHOTOS), side)
    bars = []
    for name, photos in SETS.items():
        ours, keras_way = (measured[name][way]["images_per_second"] for way in (OURS, KERAS))
        bars.append(
            {
                "name": f"{name}: images a second, {OURS} / {KERAS}",
                "value": ours / keras_way,
                "limit": photos.limit,
                "met": ours >= photos.limit * keras_way,
            }
        )
    bars.append(
        {
            "name": f"second start with {START_PHOTOS:,} photos, seconds",
            "value": started,
            "limit": START_LIMIT_S,
            "met": started < START_LIMIT_S,
        }
    )
    report = {
        "machine": describe_machine(),
        "load_average": os.getloadavg()[0],
        "side": side,
        "rounds": rounds,
        "files": {name: photos.files for name, photos in SETS.items()},
        "sets": measured,
        "cached_images_per_second": START_PHOTOS / started,
        "bars": bars,
    }
    artifacts.write_json(out / artifacts.BENCHMARK_DATA, report)
    return report


def format_data_benchmark(report: dict[str, Any]) -> str:
    """Rates and processor time as a table, then the bars."""
    machine = f"{report['machine']['cores']} cores of {report['machine']['cpu']}, load {report['load_average']:.1f}"
    lines = [
        f"JPEG files to squares of {report['side']} pixels ({machine}; {report['rounds']} interleaved rounds):",
        f"{'files':<16}{'images/s':>12}{'Keras':>10}{'ratio':>8}{'processor ms':>16}{'Keras':>10}{'ratio':>8}",
    ]
    for name, ways in report["sets"].items():
        cells = f"{name:<16}"
        for figure, width in (("images_per_second", 12), ("processor_ms", 16)):
            ours, keras_way = ways[OURS][figure], ways[KERAS][figure]
            cells += f"{ours:>{width}.2f}{keras_way:>10.2f}{ours / keras_way:>8.2f}"
        lines.append(cells)
    lines += [
        "",
        f"Later epochs: {report['cached_images_per_second']:,.0f} images/s out of the cache; Keras decodes anew.",
        "",
    ]
    for bar in report["bars"]:
        verdict = "met" if bar["met"] else "NOT MET"
        lines.append(f"{bar['name']}: {bar['value']:.2f} (bar {bar['limit']:g}) {verdict}")
    return "\n".join(lines)


def _lay_out(root: Path, photos: PhotoSet, files: int | None = None) -> Path:
    """A folder of two classes with links to painted photos, which are kept for the next time."""
    pictures = save_photographs(cache_dir() / "benchmark", [(photos.width, photos.height)] * photos.pictures)
    for number in range(files or photos.files):
        picture = number % len(pictures)
        link = root / "ab"[picture % 2] / f"{number}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(pictures[picture])
    return root


def _race(root: Path, side: int, rounds: int) -> dict[str, dict[str, float]]:
    """The medians of the rounds of each way, after one round to warm up.

    Processor time is of all cores together; unlike the rate it hardly depends on what else the machine does.
    """
    contenders: dict[str, Callable[[Path, int], int]] = {OURS: _ours, KERAS: _keras}
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    processor: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(rounds + 1):
        for name in sorted(contenders, reverse=bool(round_number % 2)):
            started, processor_started = time.perf_counter(), time.process_time()
            count = contenders[name](root, side)
            if round_number:
                rates[name].append(count / (time.perf_counter() - started))
                processor[name].append(1_000 * (time.process_time() - processor_started) / count)
    return {
        name: {"images_per_second": median(rates[name]), "processor_ms": median(processor[name])} for name in contenders
    }


def _ours(root: Path, side: int) -> int:
    with _empty_cache():
        listing = scan(root)
        spec = folder.Settings(side=side, any_side=True).spec(listing.class_names)
        return len(decode(root, listing.files, spec).rows)


def _keras(root: Path, side: int) -> int:
    dataset = keras.utils.image_dataset_from_directory(
        root, image_size=(side, side), batch_size=BATCH_SIZE, shuffle=False, verbose=False
    )
    return sum(int(images.shape[0]) for images, _ in dataset.prefetch(tf.data.AUTOTUNE))


def _second_start(root: Path, side: int) -> float:
    """Seconds from a folder that an earlier run has decoded to its data sets; the best of three."""
    settings = folder.Settings(side=side, any_side=True)
    with _empty_cache():
        folder.load(root, settings)
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            folder.load(root, settings)
            seconds.append(time.perf_counter() - started)
    return min(seconds)


@contextmanager
def _empty_cache() -> Iterator[None]:
    """Lend an empty cache, silently."""
    before = os.environ.get("EDGECNN_DATA")
    with tempfile.TemporaryDirectory() as place, redirect_stderr(io.StringIO()):
        os.environ["EDGECNN_DATA"] = place
        try:
            yield
        finally:
            if before is None:
                del os.environ["EDGECNN_DATA"]
            else:
                os.environ["EDGECNN_DATA"] = before
