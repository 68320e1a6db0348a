"""The truth about a trained model: which classes it confuses, and what its probabilities are worth."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.errors import PipelineError
from pipeline.evaluation import figures
from pipeline.evaluation.calibration import logits_of, negative_log_likelihood, reliability, temperature_of
from pipeline.evaluation.scores import calibration, confusion_matrix
from pipeline.export.load.deployable import Deployable, softmax

CONFUSIONS_LISTED = 10


def evaluate(deployable: Deployable, validation: Dataset, test: Dataset, out: Path) -> dict[str, Any]:
    """Judge a model on ``test``, with the temperature that ``validation`` asks for.

    Writes ``evaluation.json``, ``confusion.png`` and ``calibration.png`` into ``out``.

    Returns:
        What ``evaluation.json`` holds.

    Raises:
        PipelineError: images of other classes or another side than the model's.
    """
    for images in (validation, test):
        _check(deployable, images)
    temperature = temperature_of(deployable, validation)
    logits = logits_of(deployable, test.pixels)
    confusion = confusion_matrix(logits.argmax(axis=1), test.labels, len(test.class_names))
    before, after = (reliability(softmax(logits / divisor), test.labels) for divisor in (1.0, temperature))
    report = {
        "images": len(test),
        "images_digest": test.digest,
        "validation_images": len(validation),
        "validation_digest": validation.digest,
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "classes": _classes(confusion, test.class_names),
        "confusion": confusion.tolist(),
        "calibration": {
            "temperature": temperature,
            "before": {**calibration(before), "nll": negative_log_likelihood(logits, test.labels)},
            "after": {**calibration(after), "nll": negative_log_likelihood(logits, test.labels, temperature)},
        },
    }
    artifacts.write_json(out / artifacts.EVALUATION, report)
    figures.draw_confusion(out / artifacts.CONFUSION_FIGURE, confusion, test.class_names)
    figures.draw_reliability(out / artifacts.CALIBRATION_FIGURE, before, after, temperature)
    return report


def format_evaluation(report: dict[str, Any]) -> str:
    """Accuracy class by class, the commonest confusions and the calibration, as text."""
    classes = report["classes"]
    width = max(12, *map(len, classes)) + 2
    lines = [f"{'class':<{width}}{'images':>8}{'found':>9}{'trusted':>9}"]
    for name, row in classes.items():
        found, trusted = ("-" if row[key] is None else f"{row[key]:.1%}" for key in ("accuracy", "precision"))
        lines.append(f"{name:<{width}}{row['images']:>8,}{found:>9}{trusted:>9}")
    lines.append(f"{'all':<{width}}{report['images']:>8,}{report['accuracy']:>9.2%}")
    lines.append("found: of this class's images, those named so; trusted: of the images named so, those that are")
    lines += ["", "Most confused:"]
    for count, share, true, taken_for in confusions(np.array(report["confusion"]), tuple(classes)):
        lines.append(f"  {true} taken for {taken_for}: {count} ({share:.1%})")
    tempered = report["calibration"]
    before, after = tempered["before"], tempered["after"]
    if tempered["temperature"] == 1:
        judged = f"calibration error {before['expected_error']:.2%}, log-likelihood loss {before['nll']:.4f}"
        return "\n".join([*lines, "", f"{judged}; no temperature: too few validation images, or errors, to fit one"])
    lines += [
        "",
        f"{'calibration':<22}{'as trained':>12}{'tempered':>12}",
        f"{'temperature':<22}{1:>12.3f}{tempered['temperature']:>12.3f}",
        f"{'calibration error':<22}{before['expected_error']:>12.2%}{after['expected_error']:>12.2%}",
        f"{'log-likelihood loss':<22}{before['nll']:>12.4f}{after['nll']:>12.4f}",
    ]
    return "\n".join(lines)


def confusions(confusion: NDArray[np.int64], class_names: tuple[str, ...]) -> list[tuple[int, float, str, str]]:
    """The commonest errors: count, share (0-1) of the true class, true class, what it was taken for."""
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


def _check(deployable: Deployable, images: Dataset) -> None:
    if images.class_names != deployable.class_names or images.side != deployable.side:
        raise PipelineError(
            f"the model takes {deployable.side}x{deployable.side} images of {', '.join(deployable.class_names)}; these "
            f"are {images.side}x{images.side} of {', '.join(images.class_names)}: pass --data with the model's classes"
        )


def _classes(confusion: NDArray[np.int64], class_names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Per class: images, share of them found (its accuracy), share of those named so that are (its precision)."""
    rows = {}
    for label, name in enumerate(class_names):
        right, images, named = confusion[label, label], confusion[label].sum(), confusion[:, label].sum()
        rows[name] = {
            "images": int(images),
            "accuracy": float(right / images) if images else None,
            "precision": float(right / named) if named else None,
        }
    return rows
