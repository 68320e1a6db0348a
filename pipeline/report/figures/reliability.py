"""Draw the reliability diagram: accuracy against confidence."""

import numpy as np
from matplotlib.figure import Figure

from pipeline.documents.verify import Calibration
from pipeline.report.figures.style import FAINT, GRAY, INK, WIDTH, file_style, legend_inches, placed

KERAS = "Keras"
FEWEST = 10
"""Bins with fewer answers than this are not drawn, because their accuracy is noise."""


def draw(found: dict[str, Calibration]) -> Figure:
    """Draw accuracy against confidence, a line for each file; below, the first file's share of answers in each bin."""
    figure = Figure(figsize=(WIDTH, 4.25 + legend_inches(len(found))))
    upper = placed(figure, 1.5, 2.5)
    lower = placed(figure, 0.5, 0.7, sharex=upper)
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)))
    for number, (name, calibration) in enumerate(found.items()):
        seen = np.flatnonzero(np.array(calibration.counts) >= FEWEST)
        look = {"color": INK, "linestyle": "-"} if name == KERAS else file_style(name)
        (line,) = upper.plot(
            np.array(calibration.confidence)[seen],
            np.array(calibration.accuracy)[seen],
            marker="o",
            markersize=3.5,
            linewidth=1.4,
            label=name,
            **look,
        )
        line.set_gid(f"line-{number}")
    counts = np.array(next(iter(found.values())).counts)
    bins = len(counts)
    bars = lower.bar((np.arange(bins) + 0.5) / bins, 100 * counts / counts.sum(), 0.9 / bins, color=GRAY)
    for number, bar in enumerate(bars):
        bar.set_gid(f"count-{number}")
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.tick_params(labelbottom=False)
    for axes, label in ((upper, "accuracy"), (lower, "answers, %")):
        axes.grid(axis="y")
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_ylabel(label, rotation=0, ha="left", va="bottom")
        axes.yaxis.set_label_coords(-0.11, 1.03)
    lower.tick_params(axis="x", pad=7)  # keeps its first label clear of the y axis's zero
    lower.set_xlabel("confidence: probability of the named class")
    figure.legend(loc="upper left", ncols=2, handlelength=2.4, columnspacing=1.2, borderaxespad=0.2)
    return figure
