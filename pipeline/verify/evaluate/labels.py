"""Evaluate a multi-label model: recall, precision, F1 and average precision of each label."""

from pathlib import Path

import numpy as np

from pipeline.data.dataset import Dataset, with_multi_hot
from pipeline.documents.evaluation import LabelEvaluation, LabelResult
from pipeline.documents.shares import interval_of, percent_of, share_of
from pipeline.errors import PipelineError
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.multi_label import (
    FOLDS,
    average_precisions,
    best_thresholds,
    cross_fitted_thresholds,
    decisions,
    f1_scores,
    macro_f1,
    macro_f1_interval,
    mean_average_precision,
    mean_average_precision_interval,
)
from pipeline.metrics.significance import share_interval
from pipeline.verify.evaluate.check import check
from runtime.text import for_terminal, plural


def evaluate_labels(
    deployable: Deployable, validation: Dataset, test: Dataset, out: Path, input_contract: str = ""
) -> LabelEvaluation:
    """Judge a multi-label model on ``test``, with thresholds that are chosen on ``validation``; write the document.

    If both are the same images, each is judged with thresholds that were chosen without it.

    Raises:
        PipelineError: the images have other classes or another size than the model, or no labels.
    """
    for images in (validation, test):
        check(deployable, images)
    validation, test = with_multi_hot(validation), with_multi_hot(test)
    if validation.multi_hot is None or test.multi_hot is None:
        raise PipelineError("the images have no labels: give photos with --data DIR and a labels.csv in it")
    thresholds = best_thresholds(deployable.probabilities(validation.pixels), validation.multi_hot)
    answers, multi_hot = deployable.probabilities(test.pixels), test.multi_hot
    same = test.digest == validation.digest
    decided = decisions(answers, cross_fitted_thresholds(answers, multi_hot) if same else thresholds)
    hits, predicted, actual = (part.sum(axis=0) for part in (decided & multi_hot, decided, multi_hot))
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall = hits / predicted, hits / actual
    columns = zip(
        deployable.class_names, actual, thresholds, precision, recall, f1_scores(decided, multi_hot),
        average_precisions(answers, multi_hot), strict=True,
    )  # fmt: skip
    report = LabelEvaluation(
        images=len(test),
        images_digest=test.digest,
        validation_images=len(validation),
        validation_digest=validation.digest,
        macro_f1=macro_f1(decided, multi_hot),
        macro_f1_interval=macro_f1_interval(decided, multi_hot),
        mean_average_precision=mean_average_precision(answers, multi_hot),
        mean_average_precision_interval=mean_average_precision_interval(answers, multi_hot),
        subset_accuracy=float((decided == multi_hot).all(axis=1).mean()),
        labels={
            name: LabelResult(
                images=int(count),
                threshold=threshold,
                precision=float(own[0]),
                recall=float(own[1]),
                f1=float(own[2]),
                average_precision=float(own[3]),
            )
            for name, count, threshold, *own in columns
        },
        input_contract=input_contract,
    )
    report.write(out)
    return report


def format_labels(report: LabelEvaluation) -> str:
    """Format the figures of each label and of all labels together as text."""
    width = max(12, *map(len, report.labels)) + 2
    header = f"{'images':>8}{'threshold':>11}{'recall':>9}{'precision':>11}{'F1':>9}{'AP':>9}"
    lines = [f"{'label':<{width}}{header}"]
    images = report.images
    for name, row in report.labels.items():
        shares = (row.recall, row.precision, row.f1, row.average_precision)
        recall, precision, f1, average = ("-" if share is None else percent_of(share, images, 1) for share in shares)
        figures = f"{row.images:>8,}{row.threshold:>11.3f}{recall:>9}{precision:>11}{f1:>9}{average:>9}"
        lines.append(f"{for_terminal(name):<{width}}{figures}")
    macro, average = percent_of(report.macro_f1, images), percent_of(report.mean_average_precision, images)
    right = share_interval(report.subset_accuracy, images)
    lines += [
        f"macro F1 {macro} on {plural(images, 'image')}, 95 % interval {interval_of(report.macro_f1_interval, images)}",
        f"mean average precision {average}, {interval_of(report.mean_average_precision_interval, images)}",
        f"images with all labels right {share_of(report.subset_accuracy, images)}, {interval_of(right, images)}",
    ]
    if report.images_digest == report.validation_digest:
        lines.append(
            f"The thresholds were chosen on these same images; each of {FOLDS} parts of them was judged with "
            "thresholds chosen on the others."
        )
    return "\n".join(lines)
