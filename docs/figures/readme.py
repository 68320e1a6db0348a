"""Gather the figures of ``README.md`` from an export folder into one JSON, and write the tables into the documents."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docs.figures.documents import replace_marked
from pipeline import artifacts
from pipeline.documents.benchmark import Benchmark, Contender, Latency
from pipeline.documents.manifest import Manifest
from pipeline.documents.verify import Verification
from pipeline.errors import PipelineError
from pipeline.metrics.significance import share_interval
from pipeline.text import table
from runtime.engines.registry import default_engine
from runtime.text import plural

FIGURES = Path("docs/benchmark.json")
DOCUMENT = Path("README.md")
DOCUMENTS = {"cold-start": DOCUMENT, "artifacts": DOCUMENT, "backends": Path("docs/performance.md")}
"""Name of each table's markers -> its document."""
KERAS = "keras-compiled"
BATCH = "64"


def gather(folder: Path) -> dict[str, Any]:
    """Gather the figures from the documents that export, verify and bench wrote for the reference.

    Raises:
        PipelineError: one of these commands was not run, or ran on other files, another model or other images.
    """
    listed = {name: entry.sha256 for name, entry in Manifest.read(folder).files.items()}
    shipped, verified = Verification.read(artifacts.REFERENCE_DIR), Verification.read(folder)
    report = Benchmark.read(folder)
    reference = artifacts.REFERENCE_DIR / artifacts.MODEL_KERAS
    if listed.get(reference.name) != artifacts.sha256(reference.read_bytes()):
        raise PipelineError(f"{folder}: not an export of {reference}, which {DOCUMENT} speaks of; run make export")
    if verified.test_digest != shipped.test_digest:
        raise PipelineError(
            f"{folder / artifacts.VERIFY}: of {verified.judged_on}; {DOCUMENT} speaks of all "
            f"{shipped.images:,} test images of CIFAR-10: python -m pipeline train fetches them, then verify again"
        )
    if not verified.passed:
        raise PipelineError(f"{folder / artifacts.VERIFY}: a file did not pass; {DOCUMENT} is left as it is")
    rows = tuple(row for row in report.contenders if row.artifact in listed)
    report = report.model_copy(update={"contenders": rows})
    seen = [(name, row.sha256) for name, row in verified.measured.items()]
    seen += [(row.artifact, row.sha256 or "") for row in rows]
    for name, digest in seen:
        if digest != listed.get(name):
            raise PipelineError(f"{folder / name}: exported again after verify or bench read it; run both again")
    return {
        "verified": {
            "images": verified.images,
            "keras_accuracy": verified.keras.accuracy,
            "artifacts": {
                name: {
                    "accuracy": row.accuracy,
                    "agreement": row.agreement,
                    "mean_difference": row.mean_difference,
                }
                for name, row in verified.measured.items()
            },
        },
        "benchmark": report.model_dump(mode="json"),
    }


def tables(figures: dict[str, Any]) -> dict[str, str]:
    """Format the tables: name of the markers -> text."""
    report = Benchmark.model_validate_json(json.dumps(figures["benchmark"]))
    return {
        "cold-start": _cold_start(report),
        "artifacts": _artifacts(figures["verified"], report),
        "backends": _backends(report),
    }


def publish(figures: dict[str, Any], root: Path = Path()) -> None:
    """Write the figures to JSON and each table between its markers.

    Args:
        figures: the result of ``gather``.
        root: folder of the clone, whose documents have the markers.

    Raises:
        PipelineError: markers are missing.
    """
    artifacts.write_json(root / FIGURES, figures)
    for name, text in tables(figures).items():
        replace_marked(root / DOCUMENTS[name], name, text)


def _cold_start(report: Benchmark) -> str:
    """Say how long the int8 ONNX file takes from the start of a process to its first answer."""
    row, _ = report.timed_row(artifacts.INT8_ONNX, str(default_engine(".onnx")))
    return (
        f"From the start of a process to its first answer, this file takes {(row.cold_start_ms or 0) / 1e3:.1f} s on "
        f"{report.device.name}{listed_features(report.device.features)}."
    )


def _artifacts(verified: dict[str, Any], report: Benchmark) -> str:
    """Format size, accuracy, parity and latency of each file, on its default engine and one thread."""
    keras, latency = report.timed_row(artifacts.MODEL_KERAS, KERAS)
    header = ["file", "engine", "KiB", "accuracy", "top-1 agreement", "mean difference", "latency p50 (µs)"]
    rows = [["Keras", keras.engine, _kib(keras), f"{verified['keras_accuracy']:.2%}", "", "", f"{latency.p50:,.0f}"]]
    for name, row in verified["artifacts"].items():
        timed, latency = report.timed_row(name, str(default_engine(Path(name).suffix)))
        parity = [f"{row['agreement']:.2%}", f"{row['mean_difference']:.1e}"]
        rows.append([f"`{name}`", timed.engine, _kib(timed), f"{row['accuracy']:.2%}", *parity, f"{latency.p50:,.0f}"])
    low, high = share_interval(verified["keras_accuracy"], verified["images"])
    note = (
        f"Accuracy and parity on {verified['images']:,} test images (95 % interval of Keras's accuracy: {low:.2%} to "
        f"{high:.2%}). Latency: from the pixels of one image to its probabilities, on one thread of "
        f"{report.device.name}{listed_features(report.device.features)}, each file in a process of its own, "
        "called through edgecnn's runtime (Keras: directly). Differences are of probabilities (0-1)."
    )
    return f"{table(header, rows, 'llr')}\n\n{note}"


def _backends(report: Benchmark) -> str:
    """Format every engine and file with its fastest number of threads, the fastest first, and name missing engines."""
    header = ["file", "engine", "threads", "p50 (µs)", "p99 (µs)", "of Keras's", "images/s × 64", "cold start"]
    header.append("memory")
    rows = []
    best: dict[tuple[str, str], tuple[Contender, Latency]] = {}
    for row, latency in report.timed:
        best.setdefault((row.artifact, row.backend), (row, latency))
    for row, latency in best.values():
        ratio = row.ratio_to_keras
        rows.append(
            [
                f"`{row.artifact}`",
                row.engine,
                str(row.threads),
                f"{latency.p50:,.0f}",
                f"{latency.p99:,.0f}",
                f"{ratio.value:.3f} ({ratio.low:.3f}-{ratio.high:.3f})" if ratio else "",
                f"{row.images_per_s[BATCH]:,.0f}",
                f"{row.cold_start_ms or 0:,.0f} ms",
                f"{(row.peak_memory_bytes or 0) / 2**20:,.0f} MiB",
            ]
        )
    absent = [f"{row.engine} on `{row.artifact}`" for row in report.contenders if row.missing]
    return "\n\n".join(
        [
            table(header, rows, "llr"),
            *([f"Not measured: {', '.join(absent)}."] if absent else []),
            _conditions(report),
        ]
    )


def _conditions(report: Benchmark) -> str:
    device, before, after = report.device, report.conditions.before, report.conditions.after
    held_back = report.conditions.throttled
    return (
        f"{device.name} ({device.machine}, {plural(device.cores, 'core')}{', emulated' if device.emulated else ''})"
        f"{listed_features(report.device.features)}, "
        f"load average {before.load_average:.1f} before and {after.load_average:.1f} after"
        f"{', **throttled**: ' if held_back else ''}{', '.join(held_back)}; contenders are processes that take turns "
        "in shuffled rounds. Each engine runs each file with the number of threads that has the lowest latency; "
        f"[{FIGURES.name}]({FIGURES.name}) has the others too. In brackets the 95 % interval of the ratio to the "
        "fastest way of calling Keras. A cold start is the time from the start of a process to its first answer; "
        "memory is the peak of a process that does only that."
    )


def listed_features(features: Sequence[str]) -> str:
    """List the processor's features for 8-bit arithmetic, which decide whether int8 is faster than float."""
    return f" with {', '.join(features)}" if features else ""


def _kib(row: Contender) -> str:
    return f"{(row.bytes or 0) / 1024:,.0f}"
