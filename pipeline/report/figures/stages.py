"""From a photo file to its class: where the time goes."""

from matplotlib.figure import Figure

from pipeline.report.device import Device, EndToEnd, Photo
from pipeline.report.figures.style import AMBER, BLUE, GREY, SKY, name_row, rows
from pipeline.report.numbers import duration

STAGES = {"read": GREY, "decode": BLUE, "resize": SKY, "inference": AMBER}


def shown(device: Device) -> tuple[EndToEnd, ...]:
    """Each file, engine and photo once: with the fewest threads."""
    found: dict[tuple[str, str, Photo], EndToEnd] = {}
    for row in sorted(device.end_to_end, key=lambda row: row.threads):
        found.setdefault((row.artifact, row.backend, row.photo), row)
    return tuple(found.values())


def draw(found: tuple[EndToEnd, ...]) -> Figure:
    """A bar a photo and file, in its parts."""
    figure, (axes,) = rows(len(found), top=0.36)
    end = 1.22 * max(row.total_us for row in found)
    axes.set_xlim(0, end / 1000)
    axes.set_xlabel("ms")
    for number, row in enumerate(found):
        photo = row.photo
        name_row(axes, number, row.artifact, f"{row.backend}, {photo.format} {photo.width}×{photo.height}")
        start = 0.0
        for stage, colour in STAGES.items():
            length = getattr(row, f"{stage}_us") / 1000
            (bar,) = axes.barh(number, length, left=start, height=0.5, color=colour)
            bar.set_gid(f"{stage}-{number}")
            start += length
        axes.text(start + 0.015 * end / 1000, number, duration(row.total_us), va="center")
    handles = [axes.barh(0, 0, color=colour, label=stage) for stage, colour in STAGES.items()]
    figure.legend(
        handles=handles, loc="upper right", ncols=4, handlelength=0.8, handleheight=0.8, columnspacing=1.2,
        borderaxespad=0.2,
    )  # fmt: skip
    return figure
