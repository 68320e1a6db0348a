"""Benchmark Keras, TensorFlow and every exported file on every engine, on the same pixels."""

import shutil
import subprocess
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from pipeline import artifacts
from pipeline.benchmark.engines import desk_contenders
from pipeline.data.dataset import Dataset
from pipeline.documents.manifest import Manifest
from pipeline.verify.parity import model_files, test_images
from runtime.benchmark import run
from runtime.benchmark.contenders import contenders, find_models, thread_counts
from runtime.benchmark.document import Benchmark
from runtime.benchmark.progress import show_progress
from runtime.system.writing import check_writable

PACKAGES = ("tensorflow", "keras", "tf2onnx")


def benchmark(  # noqa: PLR0913, PLR0917 - all have defaults but two
    folder: Path,
    seconds: float,
    test: Dataset | None = None,
    threads: Sequence[int] | None = None,
    part: str = "test",
    engines: Collection[str] | None = None,
) -> Benchmark:
    """Measure all contenders and write ``benchmark.json``.

    Args:
        folder: that export wrote.
        seconds: total time of the timed runs of each contender, at most.
        test: images of its classes; CIFAR-10's test images if ``None``.
        threads: numbers of threads to measure with; 1, 2, … up to all cores if ``None``.
        part: which part of the data the images are: test or validation.
        engines: names of the engines to measure; ``None`` for all.

    Returns:
        The document that is written.

    Raises:
        PipelineError: export did not write the folder, or the model has not CIFAR-10's classes and no images are given.
    """
    manifest = Manifest.read(folder)
    check_writable(folder / artifacts.BENCHMARK)
    test = test or test_images(manifest.class_names)
    counts = threads or thread_counts()
    one_class = test.labeled and manifest.thresholds is None  # accuracy is measured only for single-label models
    files = find_models(str(folder / name) for name in model_files(manifest))  # not files of an earlier export
    with tempfile.TemporaryDirectory() as scratch, show_progress() as say:
        say("preparing contenders")
        report = run.benchmark(
            [*contenders(files, counts, engines), *desk_contenders(folder, counts, Path(scratch), engines)],
            seconds,
            images=(np.ascontiguousarray(test.pixels), test.labels.tolist() if one_class else None),
            judged_on=f"{part} images",
            packages=PACKAGES,
            revision=_revision(),
            say=say,
        )
    artifacts.write_bytes(folder / artifacts.BENCHMARK, report.to_json().encode())
    return report


def _revision() -> str | None:
    """Return the git revision of the source; ``None`` if it is not in git."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    return done.stdout.strip() or None
