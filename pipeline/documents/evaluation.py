"""``evaluation.json``: which classes a trained model confuses, and how well its probabilities are calibrated.

For a multi-label model: the figures of each label, and the thresholds with the highest F1.
"""

from typing import ClassVar

from pipeline import artifacts
from pipeline.documents.base import (
    Count,
    Document,
    Entry,
    FiniteOrNone,
    Positive,
    PositiveCount,
    Sha256,
    Share,
    ShareOrNone,
    named,
)
from pipeline.documents.verify import Calibration


class ClassScores(Entry):
    """One class: its images, the recall (share of them that is classified correctly), and precision."""

    images: Count
    recall: Share | None = named("accuracy")
    precision: Share | None


class CalibrationLoss(Calibration):
    """A reliability diagram's bins, and the mean negative log-likelihood of the labels in nats."""

    nll: FiniteOrNone


class TemperatureScaling(Entry):
    """Calibration before and after the logits are divided by the temperature."""

    temperature: Positive
    before: CalibrationLoss
    after: CalibrationLoss


class Misclassified(Entry):
    """A photo that was taken for another class than its own, and the probability of that answer."""

    path: str
    shows: str
    taken_for: str
    probability: Share


class LabelResult(Entry):
    """One label: the images that have it, the threshold chosen on validation images, and the figures with it.

    ``precision`` is ``None`` if no image gets the label; ``recall``, ``f1`` and ``average_precision`` are ``None`` if
    no image has it.
    """

    images: Count
    threshold: Share
    precision: ShareOrNone
    recall: ShareOrNone
    f1: ShareOrNone
    average_precision: ShareOrNone


class LabelEvaluation(Document):
    """``evaluation.json`` of a multi-label model; intervals are of 95 %."""

    FILE: ClassVar = artifacts.EVALUATION
    FORMAT: ClassVar = "edgecnn-label-evaluation"
    REMEDY: ClassVar = "run python -m pipeline evaluate MODEL"

    images: PositiveCount
    images_digest: Sha256
    validation_images: PositiveCount
    validation_digest: Sha256
    macro_f1: Share
    macro_f1_interval: tuple[Share, Share]
    mean_average_precision: Share
    mean_average_precision_interval: tuple[Share, Share]
    subset_accuracy: Share = named("all_right")
    labels: dict[str, LabelResult]
    input_contract: str = named("fed", default="")


class Evaluation(Document):
    """``evaluation.json``; a row of the confusion matrix is a true class, in the order of ``classes``.

    ``wrong`` lists wrongly classified photos, the highest probability first; it is empty for images without files.
    ``input_contract`` describes the preprocessing.
    """

    FILE: ClassVar = artifacts.EVALUATION
    FORMAT: ClassVar = "edgecnn-evaluation"
    REMEDY: ClassVar = "run python -m pipeline evaluate MODEL"

    images: PositiveCount
    images_digest: Sha256
    validation_images: PositiveCount
    validation_digest: Sha256
    accuracy: Share
    classes: dict[str, ClassScores]
    confusion: tuple[tuple[Count, ...], ...]
    calibration: TemperatureScaling
    wrong: tuple[Misclassified, ...] = ()
    input_contract: str = named("fed", default="")
