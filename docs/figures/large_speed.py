"""Time int8 files of large networks on two engines, for ``docs/quantization.md``.

The contenders take turns in one process, on one thread each. On a busy machine, CPU time is more reliable than
wall-clock time.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from docs.figures.bars import ratio_bar
from docs.figures.documents import replace_marked
from docs.figures.graph import OURS_ONNX, OURS_TFLITE, large_contenders
from docs.figures.graph.bare_engines import Run
from pipeline import artifacts
from pipeline.text import table
from runtime.benchmark.environment import describe_device
from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure as take_turns

FIGURES = Path("docs/large-speed.json")
DOCUMENT = Path("docs/quantization.md")
LIMIT = 1.15
TURNS, CALLS = 60, 2

Figures = dict[str, dict[str, float]]


def measure() -> dict[str, Any]:
    """Time int8 files of two networks with random weights at 224 pixels, on both engines."""
    rows = [{"network": name, "ms": timed(contenders)} for name, contenders in large_contenders()]
    return {"cpu": describe_device().cpu, "turns": TURNS, "calls": CALLS, "networks": rows}


def timed(contenders: dict[str, Run], turns: int = TURNS) -> Figures:
    """Measure a call of each contender in ms: median and minimum of wall-clock time and of CPU time."""
    figures: Figures = {name: {} for name in contenders}
    for prefix, clock in (("", time.perf_counter_ns), ("processor_", time.process_time_ns)):
        for name, rounds in take_turns(contenders, [None], turns, CALLS, clock=clock).items():
            figures[name] |= {f"{prefix}median": median_us(rounds) / 1e3, f"{prefix}least": float(np.min(rounds)) / 1e6}
    return figures


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
            bar = ratio_bar(words, (ours, theirs), "ms", LIMIT)
            figures = [f"{figure:.2f}" for figure in (ours, theirs, bar.value, bar.limit)]
            lines.append([row["network"], words, *figures, "met" if bar.met else "**missed**"])
    calls = report["turns"] * report["calls"]
    return f"{table(header, lines, 'llr')}\n\n{calls} calls of each, in turns, on one thread of {report['cpu']}."
