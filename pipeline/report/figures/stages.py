"""Draw the time of each stage from a photo file to its class: read, decode, resize, inference."""

from matplotlib.figure import Figure

from pipeline.documents.benchmark import Benchmark, EndToEnd, Photo
from pipeline.report.figures.latency import threads
from pipeline.report.figures.rows import BAR, THICK, cut, name_row, rows, time_axis
from pipeline.report.figures.style import AMBER, BLUE, GRAY, PAPER, SKY
from pipeline.report.numbers import duration

STAGES = {"read": GRAY, "decode": BLUE, "resize": SKY, "inference": AMBER}
SHOWN_TIMES = 3
"""A bar longer than this multiple of the fastest one is cut off at the edge and marked."""


def shown(device: Benchmark) -> tuple[EndToEnd, ...]:
    """Return each combination of file, engine and photo once, with the fewest threads; the fastest first."""
    found: dict[tuple[str, str, Photo], EndToEnd] = {}
    for row in sorted(device.end_to_end, key=lambda row: row.threads):
        found.setdefault((row.artifact, row.backend, row.photo), row)
    return tuple(sorted(found.values(), key=lambda row: row.total_us))


def draw(device: Benchmark) -> Figure:
    """Draw a bar for each combination, divided into its stages."""
    found = shown(device)
    figure, (axes,) = rows(len(found), top=0.3)
    end = 1.05 * max(_length(row) for row in found if row.total_us <= SHOWN_TIMES * found[0].total_us)
    time_axis(axes, end)
    several = len({row.photo for row in found}) > 1
    for number, row in enumerate(found):
        photo = f", {row.photo.format} {row.photo.width}×{row.photo.height}" if several else ""
        detail = f"{device.engine(row.backend)}, {threads(row.threads)}{photo}"
        name_row(axes, number, row.artifact, detail, duration(row.total_us))
        start = 0.0
        for stage, color in STAGES.items():
            length = getattr(row, f"{stage}_us")
            (bar,) = axes.barh(
                number + BAR, length, left=start, height=THICK, color=color, edgecolor=PAPER, linewidth=0.5
            )
            bar.set_gid(f"{stage}-{number}")
            start += length
        if start > end:
            cut(axes, number)
    handles = [axes.barh(0, 0, color=color, label=stage) for stage, color in STAGES.items()]
    figure.legend(
        handles=handles, loc="upper left", ncols=4, handlelength=0.8, handleheight=0.8, columnspacing=1.2,
        borderaxespad=0.2,
    )  # fmt: skip
    return figure


def _length(row: EndToEnd) -> float:
    return row.read_us + row.decode_us + row.resize_us + row.inference_us
