"""Draw the latency of one image: bars to the median, whiskers to the 99th percentile."""

from matplotlib.figure import Figure

from pipeline.documents.benchmark import Benchmark, Contender, Latency
from pipeline.report.figures.rows import BAR, THICK, cut, name_row, rows, time_axis
from pipeline.report.figures.style import INK, engine_color
from pipeline.report.numbers import duration

SHOWN_TIMES = 8
"""A bar longer than this multiple of the fastest one is cut off at the edge and marked."""


def edge(latencies: list[Latency]) -> float:
    """Return the end of the axis in µs; a slow contender or run beyond it does not shrink the other bars."""
    best = min(latency.p50 for latency in latencies)
    comparable = [latency for latency in latencies if latency.p50 <= SHOWN_TIMES * best]
    return 1.1 * max(min(latency.p99, 2 * latency.p50) for latency in comparable)


def draw(device: Benchmark) -> Figure:
    """Draw a bar for each contender, the fastest on top."""
    timed = device.timed
    figure, (axes,) = rows(len(timed))
    end = edge([latency for _, latency in timed])
    time_axis(axes, end, "one image, ")
    for row, (contender, latency) in enumerate(timed):
        name_row(axes, row, contender.file, detail(contender), duration(latency.p50))
        place = row + BAR
        (bar,) = axes.barh(place, min(latency.p50, end), height=THICK, color=engine_color(contender.backend))
        bar.set_gid(f"bar-{row}")
        if latency.p50 > end:
            cut(axes, row)
            continue
        reach = min(latency.p99, 0.985 * end)
        (whisker,) = axes.plot([latency.p50, reach], [place, place], color=INK, linewidth=1)
        whisker.set_gid(f"whisker-{row}")
        # Whiskers that are cut off end in an arrow, others in a stroke.
        axes.plot(reach, place, color=INK, marker="|" if latency.p99 <= reach else ">", markersize=5, linewidth=0)
    return figure


def detail(contender: Contender) -> str:
    """Return engine and threads, which distinguish contenders with the same file."""
    return f"{contender.engine}, {threads(contender.threads)}"


def threads(count: int) -> str:
    """Format a number of threads: "1 thread", "2 threads"."""
    return "1 thread" if count == 1 else f"{count} threads"
