"""Draw histograms of the familiarity of photos of the classes and of out-of-distribution pictures."""

import numpy as np
from matplotlib.figure import Figure

from pipeline.documents.known import Familiarity
from pipeline.report.figures.style import FAINT, GRAY, INK, ORANGE, WIDTH, placed, shorten

ROW, GAP, FOOT = 0.55, 0.3, 0.55
"""In inches: height of a histogram, space above it, space below all histograms."""


def draw(found: Familiarity) -> Figure:
    """Draw a histogram for each kind of picture, with a common axis of scores and a line at the threshold."""
    kinds = [("its classes", found.counts), *((row.kind, row.counts) for row in found.out_of_distribution)]
    height = FOOT + len(kinds) * (ROW + GAP)
    figure = Figure(figsize=(WIDTH, height))
    edges = np.array(found.edges)
    first = None
    for number, (kind, counts) in enumerate(kinds):
        axes = placed(figure, FOOT + (len(kinds) - 1 - number) * (ROW + GAP), ROW, sharex=first)
        first = first or axes
        shares = np.array(counts) / max(sum(counts), 1)
        bars = axes.bar(
            edges[:-1], shares, np.diff(edges) * 0.92, align="edge", color=_color(number, edges[:-1], found.threshold)
        )
        bars[0].set_gid(f"bars-{number}")
        axes.axvline(found.threshold, color=INK, linewidth=1, linestyle=(0, (3, 2)))
        axes.set_title(shorten(kind, 40), loc="left", fontsize=9, color=INK, pad=3)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.tick_params(labelbottom=number == len(kinds) - 1)
        axes.margins(y=0.02)
        if number == 0:
            axes.annotate(
                "known from the dashed line on", (1, 1), (0, 3), xycoords="axes fraction",
                textcoords="offset points", ha="right", fontsize=8.5, color=FAINT,
            )  # fmt: skip
        else:
            axes.annotate(
                f"AUROC {found.out_of_distribution[number - 1].auroc:.3f}", (1, 1), (0, 3), xycoords="axes fraction",
                textcoords="offset points", ha="right", fontsize=8.5, color=FAINT,
            )  # fmt: skip
        last = axes
    last.set_xlabel("familiarity: the largest logit")
    return figure


def _color(row: int, lower: np.ndarray, threshold: float) -> list[str]:
    """Return the color of each bar: orange on the wrong side of the threshold, else gray."""
    wrong = (lower < threshold) if row == 0 else (lower >= threshold)
    return [ORANGE if is_wrong else GRAY for is_wrong in wrong]
