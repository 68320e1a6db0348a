"""JSON -> the Markdown tables of the README. Loads no model."""

from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.errors import PipelineError
from runtime.benchmark.environment import throttled
from runtime.benchmark.reading import read_benchmark, row_of
from runtime.engines import DEFAULTS

KERAS = "keras-compiled"


def tables(folder: Path) -> dict[str, str]:
    """The tables by the names of their marks, out of ``verify.json`` and ``benchmark.json``.

    Raises:
        BenchmarkFormatError: the latter is not what bench writes.
    """
    report = read_benchmark(folder / artifacts.BENCHMARK)
    return {
        "artifacts": _artifacts(artifacts.read_json(folder / artifacts.VERIFY), report),
        "backends": _backends(report),
    }


def _artifacts(verified: dict[str, Any], report: dict[str, Any]) -> str:
    """Size, accuracy, parity and latency of each file on its default engine and one thread."""
    keras = row_of(report, artifacts.MODEL_KERAS, KERAS)
    rows = [
        ["file", "engine", "KiB", "accuracy", "same class as Keras", "mean difference", "latency p50 (µs)"],
        ["---", "---", *["---:"] * 5],
        ["Keras", keras["engine"], _kib(keras), f"{verified['keras_accuracy']:.2%}", "", "", _p50(keras)],
    ]
    for name, row in verified["artifacts"].items():
        timed = row_of(report, name, DEFAULTS[Path(name).suffix])
        parity = [f"{row['agreement']:.2%}", f"{row['mean_difference']:.1e}"]
        rows.append([f"`{name}`", timed["engine"], _kib(timed), f"{row['accuracy']:.2%}", *parity, _p50(timed)])
    return (
        f"{_table(rows)}\n\nAccuracy and parity on {verified['images']:,} test images; latency of one image on one "
        "thread. Differences are of probabilities (0-1)."
    )


def _backends(report: dict[str, Any]) -> str:
    """Every engine on every file, the fastest first, and those that are missing."""
    rows = [
        ["file", "engine", "threads", "p50 (µs)", "p99 (µs)", "of Keras's", "images/s × 64", "cold start", "memory"],
        ["---", "---", *["---:"] * 7],
    ]
    timed = [row for row in report["contenders"] if row["missing"] is None]
    for row in sorted(timed, key=lambda row: float(row["latency_us"]["p50"])):
        ratio = row["ratio_to_keras"]
        rows.append(
            [
                f"`{row['artifact']}`",
                row["engine"],
                str(row["threads"]),
                _p50(row),
                f"{row['latency_us']['p99']:,.0f}",
                f"{ratio['value']:.3f} ({ratio['low']:.3f}-{ratio['high']:.3f})" if ratio else "",
                f"{row['images_per_s']['64']:,.0f}",
                f"{row['cold_start_ms']:,.0f} ms",
                f"{row['peak_memory_bytes'] / 2**20:,.0f} MiB",
            ]
        )
    absent = [f"{row['engine']} on `{row['artifact']}`" for row in report["contenders"] if row["missing"]]
    return "\n\n".join(
        [_table(rows), *([f"Not measured: {', '.join(absent)}."] if absent else []), _conditions(report)]
    )


def _conditions(report: dict[str, Any]) -> str:
    device, before, after = report["device"], report["conditions"]["before"], report["conditions"]["after"]
    held_back = throttled(before, after)
    return (
        f"{device['name']} ({device['machine']}, {device['cores']} cores{', emulated' if device['emulated'] else ''}), "
        f"load average {before['load_average']:.1f} before and {after['load_average']:.1f} after"
        f"{', **throttled**: ' if held_back else ''}{', '.join(held_back)}; contenders are processes that take turns "
        "in shuffled rounds. In brackets the 95 % interval of the ratio to the fastest way of calling Keras. A cold "
        "start is from nothing to the first answer; memory is the peak of a process that does only that."
    )


def _kib(row: dict[str, Any]) -> str:
    return f"{row['bytes'] / 1024:,.0f}"


def _p50(row: dict[str, Any]) -> str:
    return f"{row['latency_us']['p50']:,.0f}"


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def update_readme(readme: Path, folder: Path) -> None:
    """Replace what stands between the marks in ``readme`` by the tables of ``folder``.

    Raises:
        PipelineError: marks are missing.
        BenchmarkFormatError: the benchmark is not what bench writes.
    """
    for name, table in tables(folder).items():
        replace_between(readme, f"<!-- {name}: begin -->", f"<!-- {name}: end -->", table)


def replace_between(document: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between two marker lines of a document.

    Raises:
        PipelineError: the markers are missing.
    """
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise PipelineError(f"{document}: expected the markers {begin} and {end}; put them where the table belongs")
    artifacts.write_bytes(document, f"{before}{begin}\n{text}\n{end}{after}".encode())
