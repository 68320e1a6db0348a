"""The runtime against hand-written code for the same tasks, on one thread, taking turns; each claim met or missed."""

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
    """How much to measure.

    Attributes:
        rounds: turns of each contender on photos.
        process_rounds: processes of each kind.
        folder_rounds: turns on the folder.
        folder_photos: photos in it.
        generated: synthetic photos for the agreement, where no folder of real ones is given.
        megapixels: sizes of photo.
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
        What the JSON holds: the machine, a row a photo size, and every bar with its verdict.
    """
    kept = folder / "photos"
    # Alone in a folder, as it is copied to a device: a manifest beside it would be read and hashed as well.
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
    """Two tables: photo to label in milliseconds, and every bar."""
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
