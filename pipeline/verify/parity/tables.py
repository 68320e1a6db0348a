"""Format ``verify.json`` as text."""

import numpy as np

from pipeline.documents.base import TOO_FEW
from pipeline.documents.shares import interval_of, percent_of, share_of
from pipeline.documents.verify import LabelScores, Measured, Verification
from pipeline.metrics.significance import share_interval
from runtime.text import for_terminal

COLUMNS = ("max diff", "mean diff", "agreement")


def format_report(report: Verification) -> str:
    """Format the figures and the verdict of each file as a table."""
    keras = "no labels"
    if report.keras.accuracy is not None:
        interval = interval_of(share_interval(report.keras.accuracy, report.images), report.images)
        right = "accurate" if report.has_enough_images else "right"
        keras = f"{report.share(report.keras.accuracy)} {right}, 95 % interval {interval}"
    if report.keras.labels is not None:
        keras = _macro(report.keras.labels, report.images)
    columns = (*COLUMNS, report.judged_by)
    lines = [
        f"Against Keras ({keras}) on {report.judged_on}:",
        f"{'artifact':<20}{'KiB':>8}" + "".join(f"{name:>11}" for name in columns) + f"{'p':>7}  verdict",
    ]
    for name, row in report.artifacts.items():
        verdict = "PASS" if report.has_enough_images else TOO_FEW
        if row.violations:
            verdict = "FAIL: " + "; ".join(row.violations)
        if isinstance(row, Measured):
            figures = (
                f"{row.bytes / 1024:>8.0f}{_difference(row.max_difference):>11}{_difference(row.mean_difference):>11}"
                f"{report.share(row.agreement):>11}{_score(row, report)}"
            )
        else:
            figures = f"{'-':>8}{'-':>11}{'-':>11}{'-':>11}{'-':>11}{'-':>7}"
        lines.append(f"{name:<20}{figures}  {verdict}")
    fed = [f"fed: {report.input_contract}"] if report.input_contract else []
    return "\n".join([*lines, *_worst_labels(report), *fed, *report.caveats])


def _macro(labels: LabelScores, images: int) -> str:
    macro_f1, precision = (percent_of(value, images) for value in (labels.macro_f1, labels.mean_average_precision))
    return (
        f"macro F1 {macro_f1}, 95 % interval {interval_of(labels.macro_f1_interval, images)}; "
        f"mean average precision {precision}, {interval_of(labels.mean_average_precision_interval, images)}"
    )


def _worst_labels(report: Verification) -> list[str]:
    """Name, for each file of a multi-label model, the label on which it agrees least with Keras."""
    lines = []
    for name, row in report.measured.items():
        if row.label_agreement and min(row.label_agreement) < 1:
            place = int(np.argmin(row.label_agreement))
            found, images = row.label_agreement[place], report.images
            share = f"{share_of(found, images)}, 95 % interval {interval_of(share_interval(found, images), images)}"
            lines.append(f"{name}: least agreement on {for_terminal(report.class_names[place])}: {share}")
    return lines


def _score(row: Measured, report: Verification) -> str:
    return f"{'-':>11}{'-':>7}" if row.score is None else f"{report.share(row.score):>11}{row.p_value:>7.2g}"


def _difference(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
