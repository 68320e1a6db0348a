"""The figures of ``evaluate``: the confusion matrix and the reliability diagram."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.metrics.calibration import Reliability
from pipeline.text import for_figure

INK, FAINT, BLUE, RED, AMBER = "#1b1f24", "#8b949e", "#2a6fbb", "#c8452d", "#f0a93b"
MAX_WRITTEN = 20
"""Up to this number of classes, every cell of the matrix shows its number."""


def save(figure: Figure, path: Path) -> None:
    """Write a PNG at 150 dots per inch."""
    with artifacts.atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150, facecolor="white")


def draw_confusion(path: Path, confusion: NDArray[np.int64], class_names: tuple[str, ...]) -> None:
    """Draw the confusion matrix in percent of each row (row: true class, column: answer), and accuracy per class."""
    count = len(class_names)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    size = min(max(6.0, 0.55 * count + 2), 16.0)
    figure = Figure(figsize=(size + 3, size), layout="constrained")
    matrix, bars = figure.subplots(1, 2, sharey=True, width_ratios=(size, 2.6))
    matrix.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if count <= MAX_WRITTEN:
        for row, column in np.ndindex(count, count):
            if confusion[row, column]:
                share = shares[row, column]
                text = f"{100 * share:.0f}".replace("0", "·") if share < 0.01 else f"{100 * share:.0f}"
                color = "white" if share > 0.55 else INK
                matrix.text(column, row, text, ha="center", va="center", color=color, fontsize=11)
    step = max(1, count // 50)
    ticks = np.arange(0, count, step)
    names = [for_figure(class_names[index]) for index in ticks]
    matrix.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    matrix.set_yticks(ticks, names)
    matrix.set(xlabel="taken for", ylabel="image shows")
    matrix.set_title(caption(count, step), loc="left")
    accuracies = shares.diagonal()
    bars.barh(np.arange(count), 100 * accuracies, color=BLUE, height=0.7)
    for row, accuracy in enumerate(accuracies if count <= MAX_WRITTEN else ()):
        start, color = (3.0, "white") if accuracy > 0.3 else (100 * accuracy + 3, INK)
        bars.text(start, row, f"{100 * accuracy:.1f}", va="center", color=color, fontsize=11)
    overall = float(np.trace(confusion) / confusion.sum())
    bars.axvline(100 * overall, color=RED, linewidth=1.2)
    bars.set_title(f"Accuracy, % (all: {100 * overall:.1f})", loc="left")
    bars.set_xlim(0, 100)
    _plain(bars)
    _plain(matrix)
    save(figure, path)


def caption(count: int, step: int) -> str:
    """Explain the cells of a confusion matrix of ``count`` classes, of which every ``step``-th is named."""
    if count <= MAX_WRITTEN:
        return "Confusion: percent of each class (·: less than 1)"
    named = "" if step == 1 else f"; one in {step} is named"
    return f"Confusion of {count} classes: the darker, the larger the share of the row{named}"


def draw_reliability(path: Path, before: Reliability, after: Reliability, temperature: float) -> None:
    """Draw accuracy against confidence, as trained and, if T is not 1, with temperature; below, the share of images."""
    drawn = {"As trained": before}
    if temperature != 1:
        drawn[f"Tempered, T = {temperature:.3f}"] = after
    figure = Figure(figsize=(5.5 * len(drawn), 6.4), layout="constrained")
    panels = figure.subplots(2, len(drawn), sharex=True, sharey="row", height_ratios=(4, 1), squeeze=False)
    for column, (title, judged) in enumerate(drawn.items()):
        _draw_panel(panels[:, column], judged, f"{title}: calibration error {100 * judged.expected_error:.2f} %")
    panels[0, 0].set_ylabel("accuracy")
    panels[1, 0].set_ylabel("share of\nimages")
    panels[0, 0].legend(loc="upper left", frameon=False)
    save(figure, path)


def _draw_panel(panels: Any, judged: Reliability, title: str) -> None:
    upper, lower = panels
    bins = len(judged.counts)
    centers, width = (np.arange(bins) + 0.5) / bins, 1 / bins
    counts, accuracy, confidence = (np.array(values) for values in (judged.counts, judged.accuracy, judged.confidence))
    seen = counts > 0
    upper.bar(centers[seen], accuracy[seen], width, color=BLUE, edgecolor="white", label="accuracy")
    gap = confidence - accuracy
    upper.bar(centers[seen], gap[seen], width * 0.5, bottom=accuracy[seen], color=AMBER, label="gap to confidence")
    upper.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1.2, label="as it should be")
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_title(title, loc="left")
    lower.bar(centers, counts / counts.sum(), width, color=FAINT, edgecolor="white")
    lower.set_xlabel("confidence (probability of the named class)")
    for panel in panels:
        _plain(panel)


def _plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0, labelcolor=INK)
