"""Draw the signal-to-noise ratio of each layer, a line for each model file."""

from matplotlib.figure import Figure

from pipeline.documents.drift import DriftReport
from pipeline.report.figures.rows import name_beside, rows
from pipeline.report.figures.style import FAINT, file_style, legend_inches

MANY = 30
"""With more layers than this, rows are closer and only every third one is named."""
NAMES = 1.2
"""Width of the names in inches."""


def draw(drifted: DriftReport) -> Figure:
    """Draw a line for each file, the first layer on top."""
    layers, files = drifted.layers, drifted.artifacts
    close = len(layers) > MANY
    figure, (axes,) = rows(len(layers), inch=0.09 if close else 0.24, top=legend_inches(len(files)), label=NAMES)
    step = 3 if close else 1
    for row, layer in enumerate(layers):
        if row % step == 0:
            name_beside(axes, row, layer.name, NAMES)
    for number, (name, file) in enumerate(files.items()):
        places = [
            (file.layers[layer.name].snr_db, place) for place, layer in enumerate(layers) if layer.name in file.layers
        ]
        (line,) = axes.plot(
            [level for level, _ in places],
            [place for _, place in places],
            marker="o",
            markersize=2.5 if close else 3.5,
            linewidth=1.4,
            label=name if places else None,
            **file_style(name),
        )
        line.set_gid(f"line-{number}")
    for threshold in {row.threshold_db for row in files.values()}:
        axes.axvline(threshold, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]))
    axes.set_xlabel("signal-to-noise ratio, dB; dotted: the thresholds")
    figure.legend(loc="upper left", ncols=2, handlelength=2.4, columnspacing=1.4, borderaxespad=0.2)
    return figure
