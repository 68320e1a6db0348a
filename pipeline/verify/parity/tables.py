"""``verify.json`` as text."""

from pipeline.documents.verify import Measured, Verification
from pipeline.metrics.significance import share_interval

COLUMNS = ("max diff", "mean diff", "agreement", "accuracy")


def format_report(report: Verification) -> str:
    """The verdicts as a table."""
    keras = "no labels"
    if report.keras.accuracy is not None:
        low, high = share_interval(report.keras.accuracy, report.images)
        keras = f"{report.keras.accuracy:.2%} accurate, 95 % interval {low:.2%} to {high:.2%}"
    lines = [
        f"Against Keras ({keras}) on {report.judged_on}:",
        f"{'artifact':<20}{'KiB':>8}" + "".join(f"{name:>11}" for name in COLUMNS) + f"{'p':>7}  verdict",
    ]
    for name, row in report.artifacts.items():
        verdict = "PASS" if not row.violations else "FAIL: " + "; ".join(row.violations)
        if isinstance(row, Measured):
            figures = (
                f"{row.bytes / 1024:>8.0f}{_difference(row.max_difference):>11}{_difference(row.mean_difference):>11}"
                f"{row.agreement:>11.2%}{_accuracy(row.accuracy, row.p_value)}"
            )
        else:
            figures = f"{'-':>8}{'-':>11}{'-':>11}{'-':>11}{'-':>11}{'-':>7}"
        lines.append(f"{name:<20}{figures}  {verdict}")
    fed = [f"fed: {report.fed}"] if report.fed else []
    return "\n".join([*lines, *fed, *report.caveats])


def _accuracy(accuracy: float | None, p_value: float) -> str:
    return f"{'-':>11}{'-':>7}" if accuracy is None else f"{accuracy:>11.2%}{p_value:>7.2g}"


def _difference(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
