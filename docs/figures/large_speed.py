"""Time int8 files of large networks on two engines, for ``docs/quantization.md``.

The contenders take turns in one process, on one thread each. On a busy machine, CPU time is more reliable than
wall-clock time.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from docs.figures.documents import replace_marked
from docs.figures.graph import OURS_ONNX, OURS_TFLITE, large_contenders
from docs.figures.graph.bare_engines import Run
from pipeline import artifacts
from pipeline.report.markdown import table
from runtime.benchmark.environment import describe_device

FIGURES = Path("docs/large-speed.json")
DOCUMENT = Path("docs/quantization.md")
LIMIT = 1.15
TURNS, CALLS, WARM_UP = 60, 2, 5

Figures = dict[str, dict[str, float]]


def measure() -> dict[str, Any]:
    """Time int8 files of two networks with random weights at 224 pixels, on both engines."""
    rows = [{"network": name, "ms": timed(contenders)} for name, contenders in large_contenders()]
    return {"cpu": describe_device().cpu, "turns": TURNS, "calls": CALLS, "networks": rows}


def timed(contenders: dict[str, Run], turns: int = TURNS) -> Figures:
    """Measure a call of each contender in ms: median and minimum of wall-clock time and of CPU time."""
    clock: dict[str, list[float]] = {name: [] for name in contenders}
    processor: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        for _ in range(WARM_UP):
            run(None)
    for _ in range(turns):
        for name, run in contenders.items():
            for _ in range(CALLS):
                of_processor, begun = time.process_time_ns(), time.perf_counter_ns()
                run(None)
                clock[name].append((time.perf_counter_ns() - begun) / 1e6)
                processor[name].append((time.process_time_ns() - of_processor) / 1e6)
    return {
        name: {
            "median": float(np.median(clock[name])),
            "least": min(clock[name]),
            "processor_median": float(np.median(processor[name])),
            "processor_least": min(processor[name]),
        }
        for name in contenders
    }


def publish(report: dict[str, Any], path: Path = FIGURES, document: Path = DOCUMENT) -> None:
    """Write the report to ``path`` and the table between its markers in ``document``."""
    artifacts.write_json(path, report)
    replace_marked(document, "large-speed", tables(report))


def tables(report: dict[str, Any]) -> str:
    """Format both engines and their ratio, for each kind of time."""
    header = ["network", "ms a call", OURS_ONNX, OURS_TFLITE, "ratio", "bar", ""]
    ways = {
        "median": "median by the clock",
        "least": "shortest by the clock",
        "processor_median": "median of processor time",
        "processor_least": "least processor time",
    }
    lines = []
    for row in report["networks"]:
        for way, words in ways.items():
            ours, theirs = (row["ms"][name][way] for name in (OURS_ONNX, OURS_TFLITE))
            verdict = "met" if ours <= LIMIT * theirs else "**missed**"
            ratio = f"{ours / theirs:.2f}"
            lines.append([row["network"], words, f"{ours:.2f}", f"{theirs:.2f}", ratio, f"{LIMIT:.2f}", verdict])
    calls = report["turns"] * report["calls"]
    return f"{table(header, lines, 'llr')}\n\n{calls} calls of each, in turns, on one thread of {report['cpu']}."
