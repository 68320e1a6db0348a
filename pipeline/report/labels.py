"""The section on a multi-label model: figures of each label, and the agreement of each file's decisions with Keras."""

from pipeline.documents.shares import interval_of, percent_of
from pipeline.documents.verify import Verification
from pipeline.report.figures.reliability import KERAS
from pipeline.report.numbers import NONE, share
from pipeline.report.sections import Section, Table


def sections(verified: Verification | None) -> list[Section]:
    """Build the section for a multi-label model that was verified; none for other models."""
    if verified is None or verified.thresholds is None:
        return []
    tables = [_agreement(verified, verified.thresholds)]
    scored = {KERAS: verified.keras.labels} | {name: row.labels for name, row in verified.measured.items()}
    rows = [
        (
            name,
            _with_interval(labels.macro_f1, labels.macro_f1_interval, verified.images),
            _with_interval(labels.mean_average_precision, labels.mean_average_precision_interval, verified.images),
        )
        for name, labels in scored.items()
        if labels is not None
    ]
    header = ("file", "macro F1 (95 % interval)", "mean average precision (95 % interval)")
    if rows:
        tables.insert(0, Table(header, rows))
    lead = (
        f"Each label is judged by itself on {verified.judged_on}: an image gets a label if the probability reaches the "
        "label's threshold. Macro F1 and mean average precision are means over the labels that at least one image has."
    )
    return [Section("labels", "Labels", lead, tables=tables, tables_open=True)]


def _agreement(verified: Verification, thresholds: tuple[float, ...]) -> Table:
    found, keras, images = verified.measured, verified.keras.labels, verified.images
    rows = []
    for place, (name, threshold) in enumerate(zip(verified.class_names, thresholds, strict=True)):
        own = keras.rows[place] if keras else None
        judged = (
            (f"{own.images:,}", _percent(own.f1, images), _percent(own.average_precision, images))
            if own
            else (NONE,) * 3
        )
        shares = (share(row.label_agreement[place], images) if row.label_agreement else NONE for row in found.values())
        rows.append((name, f"{threshold:.3f}", *judged, *shares))
    header = ("label", "threshold", "images", "F1 of Keras", "average precision of Keras", *found)
    return Table(header, rows, "Each label; for each file, the share of images on which it decides as Keras does")


def _with_interval(value: float, interval: tuple[float, float], images: int) -> str:
    return f"{percent_of(value, images)} ({interval_of(interval, images)})"


def _percent(value: float | None, images: int) -> str:
    return NONE if value is None else percent_of(value, images)
