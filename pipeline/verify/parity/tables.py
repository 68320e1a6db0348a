"""Format ``verify.json`` as text."""

import numpy as np

from pipeline.documents.base import TOO_FEW
from pipeline.documents.verify import LabelScores, Measured, Verification
from pipeline.metrics.significance import share_interval
from runtime.text import for_terminal

COLUMNS = ("max diff", "mean diff", "agreement")


def format_report(report: Verification) -> str:
    """Format the figures and the verdict of each file as a table."""
    keras = "no labels"
    if report.keras.accuracy is not None:
        low, high = share_interval(report.keras.accuracy, report.images)
        keras = f"{report.keras.accuracy:.2%} accurate, 95 % interval {low:.2%} to {high:.2%}"
    if report.keras.labels is not None:
        keras = _macro(report.keras.labels)
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
                f"{row.agreement:>11.2%}{_accuracy(row.score, row.p_value)}"
            )
        else:
            figures = f"{'-':>8}{'-':>11}{'-':>11}{'-':>11}{'-':>11}{'-':>7}"
        lines.append(f"{name:<20}{figures}  {verdict}")
    fed = [f"fed: {report.input_contract}"] if report.input_contract else []
    return "\n".join([*lines, *_worst_labels(report), *fed, *report.caveats])


def _macro(labels: LabelScores) -> str:
    (low, high), (lowest, highest) = labels.macro_f1_interval, labels.mean_average_precision_interval
    return (
        f"macro F1 {labels.macro_f1:.2%}, 95 % interval {low:.2%} to {high:.2%}; "
        f"mean average precision {labels.mean_average_precision:.2%}, {lowest:.2%} to {highest:.2%}"
    )


def _worst_labels(report: Verification) -> list[str]:
    """Name, for each file of a multi-label model, the label on which it agrees least with Keras."""
    lines = []
    for name, row in report.measured.items():
        if row.label_agreement and min(row.label_agreement) < 1:
            place = int(np.argmin(row.label_agreement))
            low, high = share_interval(row.label_agreement[place], report.images)
            share = f"{row.label_agreement[place]:.2%}, 95 % interval {low:.2%} to {high:.2%}"
            lines.append(f"{name}: least agreement on {for_terminal(report.class_names[place])}: {share}")
    return lines


def _accuracy(accuracy: float | None, p_value: float) -> str:
    return f"{'-':>11}{'-':>7}" if accuracy is None else f"{accuracy:>11.2%}{p_value:>7.2g}"


def _difference(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
