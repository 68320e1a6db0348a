"""Draw peak memory and cold start (process start to first answer) of each contender, measured in its own process."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.documents.benchmark import Contender
from pipeline.report.figures.latency import detail
from pipeline.report.figures.rows import BAR, THICK, name_row, rows, time_axis
from pipeline.report.figures.style import engine_color
from pipeline.report.numbers import duration, size


def draw(found: tuple[Contender, ...]) -> Figure:
    """Draw two bars for each contender: peak memory and cold start."""
    figure, (memory, start) = rows(len(found), panels=2)
    memory.grid(visible=False)
    start.grid(visible=False)  # grid lines would cross the names, and every bar has its number
    for row, contender in enumerate(found):
        name_row(memory, row, contender.file, detail(contender))
    memories = [(contender.peak_memory_bytes or 0) / 2**20 for contender in found]
    starts = [1000 * (contender.cold_start_ms or 0) for contender in found]
    colors = [engine_color(contender.backend) for contender in found]
    end = _bars(start, "start", starts, [duration(value) if value else "" for value in starts], colors)
    time_axis(start, end, "cold start, ")
    start.locator_params(axis="x", nbins=3)
    _bars(memory, "memory", memories, [size(value * 2**20) if value else "" for value in memories], colors)
    memory.locator_params(axis="x", nbins=3)
    memory.set_xlabel("peak memory, MiB")
    return figure


def _bars(axes: Axes, name: str, values: list[float], labels: list[str], colors: list[str]) -> float:
    """Draw a bar and its number for each row; return the end of the axis."""
    end = 1.55 * max(*values, 1e-9)
    axes.set_xlim(0, end)
    for row, (value, label, color) in enumerate(zip(values, labels, colors, strict=True)):
        (bar,) = axes.barh(row + BAR, value, height=THICK, color=color)
        bar.set_gid(f"{name}-{row}")
        axes.text(value + 0.03 * end, row + BAR, label, va="center", fontsize=8.5)
    return end
