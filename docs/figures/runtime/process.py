"""Benchmark the runtime as a process: cold start, import, idling; and a folder of photos with several threads."""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from docs.figures.bars import Bar, ratio_bar
from docs.figures.photos import save_photographs
from docs.figures.runtime.contenders import HandWritten, script
from docs.figures.runtime.processes import interleaved_processes
from runtime import Classifier
from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure

WALL, PEAK, IMPORT, IDLE_MS, SPEED_UP, AHEAD, FLAT = 1.10, 1.05, 1.05, 5.0, 1.8, 1.0, 1.05
IDLE_S = 2.0
FOLDER_SIZES = ((640, 480), (1024, 768), (1280, 960), (1600, 1200))
FOLDER_ENCODINGS = ("jpeg", "jpeg", "jpeg", "jpeg", "progressive", "png", "jpeg", "jpeg", "webp", "jpeg")


def cold_start(ours: Classifier, model: Path, photo: Path, rounds: int) -> list[Bar]:
    """Compare ``python -m runtime classify`` with a minimal script, and imports with those of numpy and Pillow."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.py"
        path.write_text(script(ours.spec), encoding="utf-8")
        costs = interleaved_processes(
            {
                "ours": [sys.executable, "-m", "runtime", "classify", str(model), str(photo)],
                "script": [sys.executable, str(path), str(model), str(photo)],
                "import runtime": [sys.executable, "-c", "import runtime"],
                "import Classifier": [sys.executable, "-c", "from runtime import Classifier"],
                "import others": [sys.executable, "-c", "import numpy, PIL.Image"],
            },
            rounds,
        )
    mine, hand, imported = costs["ours"], costs["script"], costs["import others"].wall_ms
    return [
        ratio_bar("cold start: wall time of the script's", (mine.wall_ms, hand.wall_ms), "ms", WALL),
        ratio_bar("cold start: peak memory of the script's", (mine.peak_mib, hand.peak_mib), "MiB", PEAK),
        *(
            ratio_bar(f"{name}: of numpy and PIL.Image", (costs[name].wall_ms, imported), "ms", IMPORT)
            for name in ("import runtime", "import Classifier")
        ),
    ]


def idle(ours: Classifier, photo: Path) -> Bar:
    """Measure the CPU time of this process while it idles after classifying."""
    ours.classify(photo)
    start = time.process_time()
    time.sleep(IDLE_S)
    spent = (time.process_time() - start) * 1e3
    return Bar(f"processor time in {IDLE_S:g} s of idling", spent, IDLE_MS, ours=spent, unit="ms")


def mixed_photos(folder: Path, count: int) -> list[Path]:
    """Return ``count`` paths of up to forty files: baseline JPEG, some progressive, PNG and WebP, 0.3-2 megapixels."""
    kinds = itertools.islice(itertools.product(FOLDER_SIZES, FOLDER_ENCODINGS), count)
    distinct = [
        save_photographs(folder, [size], [encoding], seed=100 + number)[0]
        for number, (size, encoding) in enumerate(kinds)
    ]
    return list(itertools.islice(itertools.cycle(distinct), count))


def folder_of_photos(ours: Classifier, theirs: HandWritten, paths: Sequence[Path], rounds: int) -> list[Bar]:
    """Compare a folder's rate with one thread, two threads, and two in a hand-written loop; and its peak memory."""
    ways: dict[str, Callable[[Sequence[Path]], None]] = {
        "one": lambda paths: _drain(ours.classify_many(paths, workers=1)),
        "two": lambda paths: _drain(ours.classify_many(paths, workers=2)),
        "hand": lambda paths: _drain(theirs.folder(paths, workers=2)),
    }
    timed = measure(ways, [paths], rounds, runs=1)
    rate = {name: len(paths) * 1e6 / median_us(values) for name, values in timed.items()}
    few, all_ = (_peak_mib(ours, paths[:count]) for count in (len(paths) // 10, len(paths)))
    name = f"{len(paths):,} photos"
    two = f"{name}, two workers"
    return [
        ratio_bar(f"{two}: times one thread's rate", (rate["two"], rate["one"]), "1/s", SPEED_UP, at_least=True),
        ratio_bar(f"{two}: times OpenCV's rate", (rate["two"], rate["hand"]), "1/s", AHEAD, at_least=True),
        ratio_bar(f"{name}: peak memory of a tenth's", (all_, few), "MiB", FLAT),
    ]


def _drain(answers: Iterable[object]) -> None:
    for _ in answers:
        pass


def _peak_mib(ours: Classifier, paths: Sequence[Path]) -> float:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    _drain(ours.classify_many(paths, workers=2))
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
