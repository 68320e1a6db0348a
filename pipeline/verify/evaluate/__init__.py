"""Evaluate a trained model: which classes it confuses, and how well its probabilities are calibrated."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.documents.evaluation import CalibrationLoss, ClassScores, Evaluation, Misclassified, TemperatureScaling
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import (
    negative_log_likelihood,
    reliability,
    reliability_entry,
    softmax,
    temperature_of,
)
from pipeline.metrics.classification import accuracy, confusion_matrix
from pipeline.verify.evaluate import figures
from pipeline.verify.evaluate.check import check
from pipeline.verify.evaluate.labels import evaluate_labels, format_labels
from pipeline.verify.evaluate.tables import format_evaluation

__all__ = ["evaluate", "evaluate_labels", "format_evaluation", "format_labels"]


def evaluate(
    deployable: Deployable, validation: Dataset, test: Dataset, out: Path, input_contract: str = ""
) -> Evaluation:
    """Judge a model on ``test``, with the temperature that is fitted on ``validation``.

    Writes ``evaluation.json``, ``confusion.png`` and ``calibration.png`` into ``out``. ``input_contract`` is a
    description of the model's preprocessing, copied to the document.

    Returns:
        The document that is written.

    Raises:
        PipelineError: the images have other classes or another size than the model.
    """
    for images in (validation, test):
        check(deployable, images)
    temperature = temperature_of(deployable.logits(validation.pixels), validation.labels)
    logits = deployable.logits(test.pixels)
    confusion = confusion_matrix(logits.argmax(axis=1), test.labels, len(test.class_names))
    before, after = (reliability(softmax(logits / divisor), test.labels) for divisor in (1.0, temperature))
    losses = [negative_log_likelihood(logits, test.labels, divisor) for divisor in (1.0, temperature)]
    report = Evaluation(
        images=len(test),
        images_digest=test.digest,
        validation_images=len(validation),
        validation_digest=validation.digest,
        accuracy=accuracy(logits, test.labels),
        classes=_classes(confusion, test.class_names),
        confusion=tuple(map(tuple, confusion.tolist())),
        calibration=TemperatureScaling(
            temperature=temperature,
            before=CalibrationLoss(**reliability_entry(before), nll=losses[0]),
            after=CalibrationLoss(**reliability_entry(after), nll=losses[1]),
        ),
        wrong=_wrong(softmax(logits / temperature), test),
        input_contract=input_contract,
    )
    report.write(out)
    figures.draw_confusion(out / artifacts.CONFUSION_FIGURE, confusion, test.class_names)
    figures.draw_reliability(out / artifacts.CALIBRATION_FIGURE, before, after, temperature)
    return report


def _wrong(probabilities: NDArray[np.float32], test: Dataset) -> tuple[Misclassified, ...]:
    """List the wrong answers on images that have a path, the highest probability first."""
    answers, sure = probabilities.argmax(axis=1), probabilities.max(axis=1)
    mistaken = np.flatnonzero(answers != test.labels) if test.paths else ()
    return tuple(
        Misclassified(
            path=test.paths[at],
            shows=test.class_names[int(test.labels[at])],
            taken_for=test.class_names[int(answers[at])],
            probability=min(float(sure[at]), 1.0),
        )
        for at in sorted(mistaken, key=lambda at: -sure[at])
    )


def _classes(confusion: NDArray[np.int64], class_names: tuple[str, ...]) -> dict[str, ClassScores]:
    """Compute images, recall and precision of each class from the matrix, int64 (C, C)."""
    rows = {}
    for label, name in enumerate(class_names):
        right, images, named = confusion[label, label], confusion[label].sum(), confusion[:, label].sum()
        rows[name] = ClassScores(
            images=int(images),
            recall=float(right / images) if images else None,
            precision=float(right / named) if named else None,
        )
    return rows
