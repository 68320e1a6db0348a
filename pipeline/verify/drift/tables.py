"""Format ``drift.json`` as text tables."""

from pipeline.documents.drift import DriftReport, FileDrift, Flip
from pipeline.documents.shares import percent_of
from runtime.text import for_terminal, plural

NAME_WIDTH = 34
SCALE = "20 dB: the error is a tenth of the output; 40 dB: a hundredth"
PAST, ABSENT = "!", "not found"
MARKS = {PAST: "below the threshold", ABSENT: "fused with the layers that follow, or removed"}
"""Mark in the table -> its meaning."""


def format_drift(report: DriftReport, flips_shown: int = 10) -> str:
    """Format the layers, the first drifted layer of each file and the flipped images as tables."""
    return "\n\n".join([_layers(report), _firsts(report), *_flips(report, flips_shown)])


def _layers(report: DriftReport) -> str:
    rows = report.artifacts
    marks: set[str] = set()
    width = max(18, *(len(name) + 2 for name in rows))
    lines = [
        f"Against Keras on {plural(report.layer_images, 'image')}: signal-to-noise ratio in dB, cosine",
        f"{'layer':<{NAME_WIDTH}}" + "".join(f"{name:>{width}}" for name in rows),
    ]
    for layer in report.layers:
        cells = []
        for row in rows.values():
            found = row.layers.get(layer.name)
            mark = ABSENT if found is None else PAST if found.snr_db < row.threshold_db else " "
            text = f"{mark} " if found is None else f"{found.snr_db:.1f} {found.cosine:.5f}{mark}"
            cells.append(f"{text:>{width}}")
            marks.add(mark)
        lines.append(f"{shorten(layer.name):<{NAME_WIDTH}}" + "".join(cells))
    lines.append("; ".join([SCALE, *(f"{mark}: {meaning}" for mark, meaning in MARKS.items() if mark in marks)]))
    return "\n".join(lines)


def shorten(name: str) -> str:
    """Shorten a layer's name to the column's width; its end is kept."""
    return name if len(name) < NAME_WIDTH else f"…{name[-NAME_WIDTH + 2 :]}"


def _firsts(report: DriftReport) -> str:
    lines = []
    for name, row in report.artifacts.items():
        line = f"{name}: first layer below {row.threshold_db:g} dB: {first_label(report, row)}"
        step = row.steepest
        if step and step.lost_db > 0:
            line += f"; most is lost in {step.layer} ({step.lost_db:.1f} dB)"
        lines.append(line)
    return "\n".join(lines)


def first_label(report: DriftReport, row: FileDrift) -> str:
    """Name the first drifted layer, and the absorbable layers right before it that were not found."""
    first = row.first_past
    if first is None:
        return "none"
    names = [layer.name for layer in report.layers]
    inside: list[str] = []
    for layer in reversed(report.layers[: names.index(first)]):
        if layer.name in row.layers or not layer.absorbable:
            break
        inside.insert(0, layer.name)
    return f"{first} (computed with {', '.join(inside)})" if inside else first


def _probability(flip: Flip) -> str:
    return "-" if flip.probability is None else f"{flip.probability:.2f}"


def _flips(report: DriftReport, shown: int) -> list[str]:
    tables = []
    for name, row in report.artifacts.items():
        flipped = row.flips
        share = percent_of(len(flipped) / report.images, report.images)
        lines = [f"{name}: another class than Keras on {len(flipped):,} of {plural(report.images, 'image')} ({share})"]
        if flipped:
            lines.append(f"  {'true class':<16}{'Keras says':<24}{'the file says':<24}image")
        for flip in flipped[:shown]:
            before = f"{flip.keras_class} {flip.keras_probability:.2f}"
            after = f"{flip.file_class} {_probability(flip)}"
            place = f"number {flip.image:,}" if flip.path is None else for_terminal(flip.path)
            lines.append(f"  {flip.true_class:<16}{before:<24}{after:<24}{place}")
        if len(flipped) > shown:
            lines.append(f"        … and {len(flipped) - shown:,} more, of which Keras was less sure")
        tables.append("\n".join(lines))
    return tables
