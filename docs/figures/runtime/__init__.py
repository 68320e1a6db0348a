"""Benchmark the runtime against hand-written code for the same tasks, on one thread, interleaved."""

import os
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docs.figures.bars import format_bars
from docs.figures.files import BENCHMARK_RUNTIME
from docs.figures.photos import save_photographs
from docs.figures.runtime import photo, process
from docs.figures.runtime.contenders import HandWritten
from pipeline import artifacts
from runtime import Classifier
from runtime.benchmark.environment import describe_device

PACKAGES = ("onnxruntime", "numpy", "pillow", "opencv-python-headless", "simplejpeg")


@dataclass(frozen=True)
class Effort:
    """The amount to measure.

    Attributes:
        rounds: rounds of each contender on photos.
        process_rounds: processes of each kind.
        folder_rounds: rounds on the folder.
        folder_photos: number of photos in the folder.
        generated: number of synthetic photos for the agreement, if no folder of real ones is given.
        megapixels: sizes of the photos.
    """

    rounds: int = 21
    process_rounds: int = 31
    folder_rounds: int = 3
    folder_photos: int = 2_000
    generated: int = 100
    megapixels: tuple[int, ...] = tuple(photo.SIZES)


QUICK = Effort(rounds=2, process_rounds=2, folder_rounds=1, folder_photos=40, generated=4, megapixels=(2,))


def benchmark_runtime(folder: Path, photos: Path | None, effort: Effort) -> dict[str, Any]:
    """Measure everything and write ``benchmark_runtime.json``.

    Args:
        folder: a folder that export wrote; generated photos are kept in its ``photos``.
        photos: a folder of real photos for the agreement, if there is one.
        effort: how much to measure.

    Returns:
        The content of the JSON: the machine, a row for each photo size, and every claim with its verdict.
    """
    kept = folder / "photos"
    # In a folder by itself, as on a device: a manifest beside the model would be read, too, and the model hashed.
    with tempfile.TemporaryDirectory() as alone:
        model = Path(shutil.copy(folder / artifacts.INT8_ONNX, alone))
        ours = Classifier(model)
        theirs = HandWritten(model, ours.spec)
        rows, bars = photo.photo_to_label(ours, theirs, kept, effort.rounds, effort.megapixels)
        if photos:
            paths, what = photo.find_photos(photos, 1_000), "real photos"
        else:
            paths, what = save_photographs(kept, [(1024, 768)] * effort.generated, seed=1_000), "generated photos"
        bars.append(photo.agreement(ours, theirs, paths, what))
        bars += photo.small_calls(ours, theirs, kept, effort.rounds)
        (picture,) = save_photographs(kept, [(640, 480)], seed=7)
        bars += process.cold_start(ours, model, picture, effort.process_rounds)
        bars.append(process.idle(ours, picture))
        mixed = process.mixed_photos(kept, effort.folder_photos)
        bars += process.folder_of_photos(ours, theirs, mixed, effort.folder_rounds)
    report = {
        "machine": asdict(describe_device()),
        "load_average": os.getloadavg()[0],
        "model": artifacts.INT8_ONNX,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "photo_to_label_ms": rows,
        "bars": [bar.to_json() for bar in bars],
    }
    artifacts.write_json(folder / BENCHMARK_RUNTIME, report)
    return report


def format_runtime_benchmark(report: dict[str, Any]) -> str:
    """Format two tables: photo to label in milliseconds, and every claim."""
    names = [name for name in report["photo_to_label_ms"][0] if name not in ("megapixels", "bytes")]
    lines = [
        f"{report['model']} on one thread of {report['machine']['cpu']} (load {report['load_average']:.1f}); medians:",
        "photo to label, ms" + "".join(f"{name:>14}" for name in names),
    ]
    lines += [
        f"{row['megapixels']:>6} MP ({row['bytes'] / 2**20:4.1f} MiB)"
        + "".join(f"{row[name]:>14.2f}" for name in names)
        for row in report["photo_to_label_ms"]
    ]
    return "\n".join([*lines, "", format_bars(report["bars"])])
