"""Draw the differences of each file's probabilities from Keras's, and their limits."""

from collections.abc import Callable

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pipeline.documents.verify import Measured
from pipeline.report.figures.rows import BAR, name_row, rows
from pipeline.report.figures.style import BLUE, INK, LINE, ORANGE, SKY, legend_inches

FLOOR = 1e-9
"""Smaller differences, including 0, are drawn here, at the left edge of the log scale."""
LOWER = 0.07
"""The marks are this share of a row's height lower than bars, so that the strokes of limits do not touch the text."""


def draw(found: dict[str, Measured], share: Callable[[float], str]) -> Figure:
    """Draw two marks for each file, mean and maximum, and a stroke at the limit of each; ``share`` writes agreement."""
    figure, (axes,) = rows(len(found), top=legend_inches(4))
    axes.set_xscale("log")
    axes.set_xlim(FLOOR / 2, 2)
    axes.xaxis.set_major_locator(LogLocator(numticks=20, base=1000))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.0e}".replace("e-0", "e-") if value < 1 else "1")
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("difference of probabilities (0 to 1)")
    for row, (name, measured) in enumerate(found.items()):
        name_row(axes, row, name, value=f"{share(measured.agreement)} agreement")
        place = row + BAR + LOWER
        mean, most = _shown(measured.mean_difference), _shown(measured.max_difference)
        axes.plot([mean, most], [place, place], color=LINE, linewidth=2.5, zorder=1)
        for kind, value, limit, color, marker in (
            ("mean", mean, measured.limits.mean_difference, BLUE, "o"),
            ("max", most, measured.limits.max_difference, SKY, "D"),
        ):
            (dot,) = axes.plot(value, place, marker=marker, markersize=5.5, color=ORANGE if value > limit else color)
            dot.set_gid(f"{kind}-{row}")
            height = 0.17 if kind == "mean" else 0.11
            (bound,) = axes.plot(
                [limit, limit], [place - height, place + height], color=INK if kind == "mean" else color
            )
            bound.set_gid(f"{kind}-limit-{row}")
    figure.legend(
        handles=[
            Line2D([], [], marker="o", linewidth=0, color=BLUE, label="mean"),
            Line2D([], [], marker="D", markersize=5.5, linewidth=0, color=SKY, label="largest"),
            Line2D([], [], marker="|", markersize=9, linewidth=0, color=INK, label="limit of the mean"),
            Line2D([], [], marker="|", markersize=6, linewidth=0, color=SKY, label="limit of the largest"),
        ],
        loc="upper left", ncols=2, handletextpad=0.1, columnspacing=1.1, borderaxespad=0.2,
    )  # fmt: skip
    return figure


def _shown(difference: float | None) -> float:
    """Return the axis position of a difference; ``None`` (not a number) is drawn as 1, the largest possible."""
    return 1.0 if difference is None else max(difference, FLOOR)
