"""Draw risk against coverage: the error rate if only the most confident answers count."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipeline.documents.verify import Selective
from pipeline.report.figures.reliability import KERAS
from pipeline.report.figures.style import INK, WIDTH, file_style, legend_inches, placed


def draw(found: dict[str, Selective]) -> Figure:
    """Draw the error rate against the share of answers that count, a line for each file."""
    figure = Figure(figsize=(WIDTH, 3.1 + legend_inches(len(found))))
    axes = placed(figure, 0.5, 2.4)
    for number, (name, curve) in enumerate(found.items()):
        look = {"color": INK, "linestyle": "-"} if name == KERAS else file_style(name)
        (line,) = axes.plot(np.array(curve.coverage), np.array(curve.risk), linewidth=1.4, label=name, **look)
        line.set_gid(f"line-{number}")
    axes.set_xlim(0, 1.04)  # room for the last number
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", pad=7)  # keeps its first label clear of the y axis's zero
    axes.grid(axis="y")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("coverage: share of the images that get an answer")
    axes.set_ylabel("risk: share of these answers that are wrong", rotation=0, ha="left", va="bottom")
    axes.yaxis.set_label_coords(-0.11, 1.03)
    figure.legend(loc="upper left", ncols=2, handlelength=2.4, columnspacing=1.2, borderaxespad=0.2)
    return figure
