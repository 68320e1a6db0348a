"""Draw accuracy against latency, with the Pareto front of the contenders."""

import math
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipeline.documents.benchmark import Benchmark, Contender
from pipeline.report.figures.style import FAINT, PAPER, WIDTH, engine_color, engine_marker, legend_inches, placed
from pipeline.report.numbers import duration

LARGEST = 330.0
"""Area of the largest file's mark in square points."""
AREAS = {"o": 0.785, "^": 0.5, "v": 0.5, "p": 0.594, "h": 0.65, "X": 0.6}
"""Marker -> the share of its bounding square that it covers; 1 for other markers."""
STANDARD_ERRORS = 4.0
"""The accuracy axis spans at least this many standard errors to either side, so that chance differences look small."""

LEAST_APART = 0.17
"""Numbers of the latency axis are at least this share of its length apart: a number of five characters and a space."""
LAST_TICK = 0.95
"""Share of the latency axis's length beyond which it has no number, which would leave the page."""

Point = tuple[Contender, float, float]
"""A contender, its median in microseconds, its accuracy (0-1)."""


def points(device: Benchmark) -> list[Point]:
    """Return the contenders with an accuracy, each with its fastest number of threads; the fastest contender first."""
    best: dict[tuple[str, str], Point] = {}
    for row, latency in device.timed:
        if row.accuracy is not None:
            best.setdefault((row.file, row.engine), (row, latency.p50, row.accuracy))
    return list(best.values())


def front(found: list[Point]) -> list[Point]:
    """Return the Pareto front: the points that no other point beats in latency and accuracy, the fastest first."""
    best, kept = -math.inf, []
    for point in sorted(found, key=lambda point: (point[1], -point[2])):
        if point[2] > best:
            best = point[2]
            kept.append(point)
    return kept


def draw(device: Benchmark) -> Figure:
    """Draw a mark for each contender: its shape shows the engine, its area the file size."""
    found = points(device)
    figure = Figure(figsize=(WIDTH, 3.1 + legend_inches(len({row.engine for row, _, _ in found}))))
    axes = placed(figure, 0.45, 2.4)
    axes.grid()
    axes.spines[["left", "bottom"]].set_visible(False)
    best = front(found)
    _limits(axes, found)
    right = axes.get_xlim()[1]
    (line,) = axes.plot(
        [*(point[1] for point in best), right],
        [*(100 * point[2] for point in best), 100 * best[-1][2]],
        color=FAINT,
        linewidth=1,
        linestyle=(0, (3, 2)),
        drawstyle="steps-post",
    )
    line.set_gid("front-0")
    largest = max(row.bytes or 0 for row, _, _ in found) or 1
    for number, (row, latency, accuracy) in enumerate(found):
        marker = engine_marker(row.backend)
        mark = axes.scatter(
            latency,
            100 * accuracy,
            s=_area(row, largest) / AREAS.get(marker, 1.0),
            marker=marker,
            color=engine_color(row.backend),
            alpha=0.75,
            edgecolor=PAPER,
        )
        mark.set_gid(f"mark-{number}")
    for number, (row, latency, accuracy) in enumerate(best):
        radius = math.sqrt(_area(row, largest) / math.pi)
        axes.annotate(
            letter(number),
            (latency, 100 * accuracy),
            (0, radius + 3),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
        )
    axes.set_xlabel("latency of one image, median")
    axes.set_ylabel("accuracy, %", rotation=0, ha="left", va="bottom")
    axes.yaxis.set_label_coords(-0.11, 1.02)
    _legend(figure, found)
    return figure


def letter(number: int) -> str:
    """Return the letter that names a point of the front: A for 0."""
    return chr(ord("A") + number)


def _area(row: Contender, largest: int) -> float:
    return max(LARGEST * (row.bytes or 0) / largest, 12)


def _limits(axes: Axes, found: list[Point]) -> None:
    axes.set_xscale("log")
    latencies, accuracies = [point[1] for point in found], np.array([point[2] for point in found])
    axes.set_xlim(min(latencies) / 1.5, max(latencies) * 1.5)
    axes.xaxis.set_major_locator(FixedLocator(ticks(*axes.get_xlim())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value).replace(".00", "").replace(".0", "")))
    images = max(row.accuracy_images or 1 for row, _, _ in found)
    center = float(accuracies.max() + accuracies.min()) / 2
    error = math.sqrt(max(center * (1 - center), 0.01) / images)
    half = max(0.65 * float(np.ptp(accuracies)), STANDARD_ERRORS * error)
    axes.set_ylim(max(100 * (center - half), -1), min(100 * (center + half), 101))


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers on a logarithmic axis from ``low`` to ``high``, so far apart that their labels do not touch.

    Of the choices that fit the one with the most numbers is taken: 1, 2, 5 or 1, 3 times powers of ten, these powers
    alone, or, on an axis shorter than a power of ten, multiples of one step.
    """
    width = math.log(high / low)
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    choices = [[factor * power for power in powers for factor in factors] for factors in ((1, 2, 5), (1, 3), (1,))]
    choices += [powers[::2], powers[::3]]
    steps = [factor * power for power in powers for factor in (0.1, 0.2, 0.25, 0.5, 1, 2)] if high < 10 * low else []
    choices += [[step * count for count in range(1, math.floor(high / step) + 1)] for step in steps]
    best: list[float] = []
    for choice in choices:
        shown = [value for value in choice if 0 <= math.log(value / low) <= LAST_TICK * width]
        apart = [math.log(after / before) for before, after in pairwise(shown)]
        if len(shown) > len(best) and min(apart, default=width) >= LEAST_APART * width:
            best = shown
    return best


def _legend(figure: Figure, found: list[Point]) -> None:
    engines = {row.engine: row.backend for row, _, _ in found}
    marks = [
        Line2D(
            [],
            [],
            marker=engine_marker(backend),
            linewidth=0,
            markersize=6.5,
            color=engine_color(backend),
            label=engine,
        )
        for engine, backend in engines.items()
    ]
    figure.legend(handles=marks, loc="upper left", ncols=2, handletextpad=0.1, columnspacing=1.2, borderaxespad=0.2)
