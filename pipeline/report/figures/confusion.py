"""Draw Keras's confusion matrix, and the difference of a file's matrix from it."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from pipeline.report.figures.style import BLUE, GRAY, INK, ORANGE, PAPER, WIDTH, shorten

MOST = 20
"""A matrix shows at most this many classes, those with the most errors."""


def shown(confusion: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of the classes to draw, in order, for a matrix int64 (C, C)."""
    errors = confusion - np.diag(np.diag(confusion))
    most = np.argsort(-(errors.sum(axis=0) + errors.sum(axis=1)), kind="stable")[:MOST]
    return np.sort(most).astype(np.int64)


def draw(confusion: NDArray[np.int64], class_names: tuple[str, ...]) -> Figure:
    """Draw a matrix, int64 (C, C): numbers of images, colored by their share of the row (the true class)."""
    chosen = shown(confusion)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    figure, axes = _grid([class_names[index] for index in chosen])
    counts = confusion[np.ix_(chosen, chosen)]
    for place, share in np.ndenumerate(shares[np.ix_(chosen, chosen)]):
        count = counts[place]
        # The square root makes the small shares of the errors visible.
        _cell(axes, place, BLUE, float(np.sqrt(share)), f"{count:,}" if count else "")
    return figure


def draw_change(
    change: NDArray[np.int64], chosen: NDArray[np.int64], class_names: tuple[str, ...], most: int
) -> Figure:
    """Draw the difference of a file's matrix from Keras's.

    Args:
        change: images more (positive) or fewer than in Keras's matrix, int64 (C, C).
        chosen: indices of the classes to draw.
        class_names: names of all C classes.
        most: the difference that has the full color.
    """
    figure, axes = _grid([class_names[index] for index in chosen])
    for place, count in np.ndenumerate(change[np.ix_(chosen, chosen)]):
        text = "" if count == 0 else f"{count:+d}".replace("-", "\N{MINUS SIGN}")
        color = BLUE if count > 0 else ORANGE if count < 0 else GRAY
        _cell(axes, place, color, 0.5 * abs(int(count)) / most, text)
    return figure


def _grid(names: list[str]) -> tuple[Figure, Axes]:
    count = len(names)
    left, top, bottom = 0.95, 0.75, 0.05
    cell = (WIDTH - left - 0.1) / count
    height = top + cell * count * 0.82 + bottom
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((left / WIDTH, bottom / height, cell * count / WIDTH, cell * count * 0.82 / height))
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(count - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    short = [shorten(name, 12) for name in names]
    size = 9 if count <= 10 else 7
    axes.set_xticks(range(count), short, rotation=40, ha="left", rotation_mode="anchor", fontsize=size, color=INK)
    axes.xaxis.tick_top()
    axes.set_yticks(range(count), short, fontsize=size)
    return figure, axes


def _cell(axes: Axes, place: tuple[int, ...], color: str, strength: float, text: str) -> None:
    row, column = place
    patch = Rectangle((column - 0.47, row - 0.46), 0.94, 0.92, color=color, alpha=max(strength, 0.05), linewidth=0)
    patch.set_gid(f"cell-{row}-{column}")
    axes.add_patch(patch)
    ink = PAPER if strength > 0.55 else INK
    size = 8.5 if len(axes.get_xticks()) <= 10 else 6
    axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=size)
