"""``evaluation.json``: which classes a trained model confuses, and how well its probabilities are calibrated.

Of a multi-label model: how well each label is found, and the thresholds that find them best.
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
)
from pipeline.documents.verify import Calibration


class ClassScores(Entry):
    """One class: its images, the share of them that is named so, and the share of those named so that are right."""

    images: Count
    accuracy: Share | None
    precision: Share | None


class CalibrationLoss(Calibration):
    """A reliability diagram's bins, and the mean negative log-likelihood of the labels in nats."""

    nll: FiniteOrNone


class Tempering(Entry):
    """Calibration before and after the logits are divided by the temperature."""

    temperature: Positive
    before: CalibrationLoss
    after: CalibrationLoss


class Wrong(Entry):
    """A photo that was taken for another class than its own, and how sure the model was."""

    path: str
    shows: str
    taken_for: str
    probability: Share


class LabelResult(Entry):
    """One label: the images that show it, the threshold that validation images chose, and what it finds with that.

    ``precision`` is ``None`` where no image gets the label; the others are where none shows it.
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
    all_right: Share
    labels: dict[str, LabelResult]
    fed: str = ""


class Evaluation(Document):
    """``evaluation.json``; rows of the confusion matrix are what the images show, in the order of ``classes``.

    ``wrong`` are photos, the surest mistakes first; it is empty for images without a file. ``fed`` says how the model
    got them.
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
    calibration: Tempering
    wrong: tuple[Wrong, ...] = ()
    fed: str = ""
