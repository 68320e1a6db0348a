"""The common layout of figures with rows: each row's name and value are written above its marks, not beside them."""

from functools import lru_cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.report.figures.style import DETAIL_SIZE, GAP, PAPER, WIDTH
from pipeline.report.numbers import time_unit

MARGIN = 0.12
"""Inches on either side of the axes, for the first and last number of the scale."""
BAR, THICK = 0.24, 0.26
"""Distance of a row's marks below the row's position, and thickness of its bar, as shares of a row's height."""
NAME_SIZE = 9.5
WIDEST_FONT = FontProperties("DejaVu Sans")
"""The widest typeface in the page's list: text that fits in it also fits in the others."""


def rows(
    count: int, *, panels: int = 1, inch: float = 0.42, top: float = 0.02, label: float = 0
) -> tuple[Figure, list[Axes]]:
    """Make a figure with ``count`` rows, the first on top.

    Args:
        count: number of rows.
        panels: number of axes side by side.
        inch: height of a row in inches.
        top: space above the rows in inches.
        label: width of the space for names left of the axes in inches.
    """
    bottom = 0.42
    height = top + bottom + inch * count
    figure = Figure(figsize=(WIDTH, height))
    gap = 0.3
    left = MARGIN + label
    width = (WIDTH - left - MARGIN - gap * (panels - 1)) / panels
    axes = [
        figure.add_axes(((left + panel * (width + gap)) / WIDTH, bottom / height, width / WIDTH, inch * count / height))
        for panel in range(panels)
    ]
    for panel in axes:
        panel.set_ylim(count - 0.5, -0.5)
        panel.set_yticks([])
        panel.grid(axis="x")
        panel.spines[["left", "bottom"]].set_visible(False)
    return figure, axes


def name_row(axes: Axes, row: int, name: str, detail: str = "", value: str = "") -> None:
    """Write a row's name and, fainter, its detail above its marks, and its value at the right."""
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "baseline", "fontsize": NAME_SIZE}
    room = 72 * (WIDTH - 2 * MARGIN) - _units(f"{GAP}{value}", NAME_SIZE)
    name = _fitted(name, NAME_SIZE, max(0.45 * room, room - _units(GAP + detail, DETAIL_SIZE)))
    detail = _fitted(detail, DETAIL_SIZE, room - _units(name + GAP, NAME_SIZE))
    axes.text(0, row - 0.02, f"{name}{GAP}{detail}" if detail else name, gid=f"name-{row}", **place)
    axes.text(1, row - 0.02, value, gid=f"value-{row}", ha="right", fontweight="bold", **place)


def name_beside(axes: Axes, row: int, name: str, inches: float) -> None:
    """Write a row's name left of the axes, shortened to a width of ``inches``."""
    text = _fitted(name, NAME_SIZE, 72 * inches)
    axes.text(-0.02, row, text, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=NAME_SIZE)


def time_axis(axes: Axes, end: float, label: str = "") -> None:
    """Make the horizontal axis one of times from 0 to ``end`` in µs; its numbers are in the unit that fits ``end``."""
    divisor, unit = time_unit(end)
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / divisor:g}"))
    axes.set_xlabel(f"{label}{unit}")


def cut(axes: Axes, row: int) -> None:
    """Draw a break near the right edge of a row's bar, to show that it is longer."""
    place = axes.get_yaxis_transform()
    for across in (0.955, 0.97):
        axes.plot(
            [across - 0.008, across + 0.008], [row + BAR + 0.22, row + BAR - 0.22], color=PAPER, linewidth=2,
            transform=place, solid_capstyle="butt",
        )  # fmt: skip


def _fitted(text: str, size: float, room: float) -> str:
    """Shorten a text to a width of ``room`` in points, for the font size ``size``."""
    short = text
    while short and _units(short, size) > room:
        short = short.removesuffix("…")[:-1].rstrip() + "…" if len(short) > 1 else ""
    return short


def _units(text: str, size: float) -> float:
    return size * _width(text) if text.strip() else 0.0


@lru_cache(10_000)
def _width(text: str) -> float:
    """Measure a text's width in ems. Cached: measuring takes milliseconds, and a name occurs in several charts."""
    return float(TextPath((0, 0), text, size=1, prop=WIDEST_FONT).get_extents().width)
