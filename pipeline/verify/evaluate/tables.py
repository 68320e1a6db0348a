"""Format ``evaluation.json`` as text."""

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.evaluation import CalibrationLoss, Evaluation
from pipeline.documents.shares import interval_of, percent_of, share_of
from pipeline.metrics.significance import share_interval
from runtime.text import for_terminal

CONFUSIONS_LISTED = 10
WRONG_LISTED = 10


def format_evaluation(report: Evaluation) -> str:
    """Format recall and precision of each class, the commonest confusions and the calibration as text."""
    classes = report.classes
    width = max(12, *map(len, classes)) + 2
    lines = [f"{'class':<{width}}{'images':>8}{'recall':>9}{'precision':>11}"]
    for (name, row), answers in zip(classes.items(), np.array(report.confusion).sum(axis=0).tolist(), strict=True):
        recall = "-" if row.recall is None else percent_of(row.recall, row.images, 1)
        precision = "-" if row.precision is None else percent_of(row.precision, answers, 1)
        lines.append(f"{name:<{width}}{row.images:>8,}{recall:>9}{precision:>11}")
    accuracy = share_of(report.accuracy, report.images)
    interval = interval_of(share_interval(report.accuracy, report.images), report.images)
    lines.append(f"{'all':<{width}}{report.images:>8,}{accuracy:>9}  95 % interval {interval}")
    lines.append(
        "recall: share of the class's images that get this class; precision: share of these answers that is right"
    )
    lines += ["", "Most confused:"]
    for count, share, true, taken_for in confusions(np.array(report.confusion), tuple(classes)):
        lines.append(f"  {true} taken for {taken_for}: {count} ({percent_of(share, classes[true].images, 1)})")
    lines += _wrong(report)
    tempered = report.calibration
    before, after = tempered.before, tempered.after
    if tempered.temperature == 1:
        judged = f"calibration error {before.expected_error:.2%}, log-likelihood loss {_loss(before)}"
        return "\n".join([*lines, "", f"{judged}; no temperature: too few validation images, or errors, to fit one"])
    lines += [
        "",
        f"{'calibration':<22}{'as trained':>12}{'tempered':>12}",
        f"{'temperature':<22}{1:>12.3f}{tempered.temperature:>12.3f}",
        f"{'calibration error':<22}{before.expected_error:>12.2%}{after.expected_error:>12.2%}",
        f"{'log-likelihood loss':<22}{_loss(before):>12}{_loss(after):>12}",
    ]
    if report.images_digest == report.validation_digest:
        lines.append("The temperature was fitted on these same images: the tempered column looks better than it is.")
    return "\n".join(lines)


def _wrong(report: Evaluation) -> list[str]:
    if not report.wrong:
        return []
    more = len(report.wrong) - WRONG_LISTED
    return [
        "",
        "Wrong, the highest probability first:",
        *(
            f"  {for_terminal(row.path)}: shows {row.shows}, taken for {row.taken_for} ({row.probability:.0%})"
            for row in report.wrong[:WRONG_LISTED]
        ),
        *([f"  … and {more:,} more in evaluation.json"] if more > 0 else []),
    ]


def _loss(calibrated: CalibrationLoss) -> str:
    return "-" if calibrated.nll is None else f"{calibrated.nll:.4f}"


def confusions(confusion: NDArray[np.int64], class_names: tuple[str, ...]) -> list[tuple[int, float, str, str]]:
    """List the commonest errors: number, share (0-1) of the true class's images, true class, predicted class.

    Args:
        confusion: int64 (C, C), rows the true class, columns the prediction.
        class_names: C names.
    """
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:CONFUSIONS_LISTED]
    pairs = [divmod(int(cell), len(class_names)) for cell in order if errors.flat[cell]]
    return [
        (
            int(errors[row, column]),
            float(errors[row, column] / confusion[row].sum()),
            class_names[row],
            class_names[column],
        )
        for row, column in pairs
    ]
