"""``verify.json``: the distance of each exported file from Keras on the same images, and the verdicts."""

from typing import ClassVar

from pydantic import Field, computed_field, model_validator

from pipeline import artifacts
from pipeline.documents.base import (
    MIN_IMAGES_FOR_VERDICT,
    TOO_FEW,
    Count,
    Document,
    Entry,
    FileName,
    PositiveCount,
    Sha256,
    Share,
    ShareOrNone,
    named,
)
from pipeline.documents.display import DisplayedAsTable, DisplayTable
from pipeline.documents.shares import percent_of, share_of
from runtime.text import plural

MOST_CLASSES = 100
"""Confusion matrices are written for at most this many classes; one of 1,000 classes would take megabytes."""

MAY_HAVE_LEARNED = (
    "The model may have learned from these photos: for an honest accuracy give --data another folder, of photos that "
    "it has not seen."
)
ALSO_CHOSE = "int8 was chosen on these same images: its agreement may look better than it is."
ALSO_DECIDED = (
    "Whether int8 has corrected biases was decided on these same images: its agreement may look a bit better than it "
    "is."
)
OF_THE_IMAGES = (MAY_HAVE_LEARNED, ALSO_CHOSE, ALSO_DECIDED)
"""The caveats of ``Verification`` on accuracy and agreement, not on a verdict; the report shows them in this order."""


class Calibration(Entry):
    """The bins of a reliability diagram."""

    expected_error: float
    counts: tuple[Count, ...]
    confidence: tuple[Share, ...]
    accuracy: tuple[Share, ...]

    @model_validator(mode="after")
    def _check_lengths(self) -> "Calibration":
        if not len(self.counts) == len(self.confidence) == len(self.accuracy):
            raise ValueError("counts, confidence and accuracy must have the same length")
        return self


class LabelRow(Entry):
    """One label of a multi-label model; ``f1`` and ``average_precision`` are ``None`` if no image has the label."""

    images: Count
    f1: ShareOrNone
    average_precision: ShareOrNone


class LabelScores(Entry):
    """Scores of a multi-label model; intervals are 95 % intervals, ``rows`` are in the order of the classes."""

    macro_f1: Share
    macro_f1_interval: tuple[Share, Share]
    mean_average_precision: Share
    mean_average_precision_interval: tuple[Share, Share]
    rows: tuple[LabelRow, ...]


class Selective(Entry):
    """The risk-coverage curve: the error rate if only the most confident answers count.

    Attributes:
        threshold: the confidence (0-1) from which on an answer counts.
        coverage: share of the answers that count.
        risk: share of wrong answers among those that count.
        area: under the curve of risk against coverage (AURC), over all confidences that occur.
    """

    threshold: tuple[Share, ...]
    coverage: tuple[Share, ...]
    risk: tuple[Share, ...]
    area: Share

    @model_validator(mode="after")
    def _check_lengths(self) -> "Selective":
        if not 0 < len(self.threshold) == len(self.coverage) == len(self.risk):
            raise ValueError("threshold, coverage and risk must have the same length, at least 1")
        return self


class Scores(Entry):
    """Accuracy, confusion matrix (rows: true classes), calibration and risk-coverage curve on the test images.

    ``calibration`` and ``selective`` are ``None`` if a probability is not finite. ``confusion`` is empty for more than
    ``MOST_CLASSES`` classes. A multi-label model has only ``labels``. Without labels all fields are empty or ``None``.
    """

    accuracy: Share | None
    confusion: tuple[tuple[Count, ...], ...]
    calibration: Calibration | None
    selective: Selective | None = None
    labels: LabelScores | None = None

    @property
    def score(self) -> float | None:
        """Accuracy, or macro F1 of a multi-label model, 0-1; ``None`` if the images have no labels."""
        return self.labels.macro_f1 if self.labels else self.accuracy


class Limits(Entry):
    """The limits of a file's distance from Keras: probabilities (0-1), agreement (0-1), accuracy in points."""

    max_difference: float
    mean_difference: float
    min_agreement: Share
    max_accuracy_drop: float


class Measured(Scores):
    """The results of a file that gave answers; its differences are ``None`` if a probability is not finite.

    For a multi-label model ``label_agreement`` has the agreement on each label, ``agreement`` is their mean, and
    ``accuracy_drop_points`` is of macro F1.
    """

    bytes: PositiveCount
    sha256: Sha256
    max_difference: ShareOrNone
    mean_difference: ShareOrNone
    agreement: Share
    label_agreement: tuple[Share, ...] = ()
    p_value: Share
    accuracy_drop_points: float | None
    limits: Limits
    violations: tuple[str, ...] = named("breaches")


class Unusable(Entry):
    """A file that gave no answers, and the reasons."""

    violations: tuple[str, ...] = named("breaches", min_length=1)


class FileSummary(Entry):
    """The fields on a file that every version has."""

    bytes: PositiveCount
    accuracy: Share | None
    agreement: Share


class VerificationSummary(Document):
    """The fields that every version of ``verify.json`` has; the first had neither scores by class nor digests."""

    FILE: ClassVar = artifacts.VERIFY
    FORMAT: ClassVar = "edgecnn-verify"
    REMEDY: ClassVar = "run python -m pipeline verify DIR"

    images: PositiveCount
    keras_accuracy: Share | None
    artifacts: dict[FileName, FileSummary]


class Verification(DisplayedAsTable, Document):
    """``verify.json``.

    ``part`` is the part of the data that the images are from. ``input_contract`` is that of the manifest.
    ``wrong_input`` says that the model is more accurate on these images if it is fed otherwise, or with other class
    names; it is empty if it is not, or if the user insists. ``caveats`` are sentences on what a PASS does not prove.
    ``thresholds`` are ``None`` unless the model is multi-label.
    """

    FILE: ClassVar = artifacts.VERIFY
    FORMAT: ClassVar = "edgecnn-verify"
    REMEDY: ClassVar = "run python -m pipeline verify DIR"

    images: PositiveCount
    part: str = "test"
    class_names: tuple[str, ...] = Field(min_length=2)
    test_digest: Sha256
    keras: Scores
    artifacts: dict[FileName, Measured | Unusable]
    passed: bool
    input_contract: str = named("fed", default="")
    wrong_input: str = ""
    caveats: tuple[str, ...] = ()
    thresholds: tuple[Share, ...] | None = None

    @model_validator(mode="after")
    def _check_matrices(self) -> "Verification":
        count = len(self.class_names)
        for name, scores in {"keras": self.keras, **self.measured}.items():
            given = bool(scores.confusion) or (scores.accuracy is not None and count <= MOST_CLASSES)
            if given and [len(row) for row in scores.confusion] != [count] * count:
                raise ValueError(f"{name}: its confusion matrix is not {count} by {count}")
            if scores.labels is not None and len(scores.labels.rows) != count:
                raise ValueError(f"{name}: expected scores of {plural(count, 'label')}")
        shares = [len(row.label_agreement) for row in self.measured.values()]
        if any(length != (0 if self.thresholds is None else count) for length in shares):
            raise ValueError(f"expected the agreement on each of {count} labels")
        if self.thresholds is not None and len(self.thresholds) != count:
            raise ValueError(f"expected {plural(count, 'threshold')}, one for each label")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def keras_accuracy(self) -> float | None:
        """Share (0-1) of the images that Keras classifies correctly; ``None`` if they have no labels."""
        return self.keras.accuracy

    def as_table(self) -> DisplayTable:
        """Return a table of the figures and verdicts."""
        header = ("file", "KiB", self.judged_by, "agreement", "mean difference", "verdict")
        rows = [("Keras", "", self._score(self.keras), "", "", "")]
        for name, row in self.artifacts.items():
            verdict = "; ".join(row.violations) or ("pass" if self.has_enough_images else TOO_FEW)
            if isinstance(row, Measured):
                share, agreement = self._score(row), self.share(row.agreement)
                mean = "" if row.mean_difference is None else f"{row.mean_difference:.1e}"
                rows.append((name, f"{row.bytes / 1024:,.0f}", share, agreement, mean, verdict))
            else:
                rows.append((name, "", "", "", "", verdict))
        verdict = ("passed" if self.has_enough_images else TOO_FEW) if self.passed else "failed"
        heading = f"Against Keras on {self.judged_on}: {verdict}"
        fed = (f"Fed: {self.input_contract}.",) if self.input_contract else ()
        wrong = (f"Error: {self.wrong_input}.",) if self.wrong_input else ()
        return DisplayTable(heading, header, rows, (*wrong, *fed, *self.caveats))

    @property
    def has_enough_images(self) -> bool:
        """Whether there are enough images for a verdict."""
        return self.images >= MIN_IMAGES_FOR_VERDICT

    @property
    def judged_by(self) -> str:
        """Name of the figure that is computed from labels: accuracy or macro F1."""
        return "accuracy" if self.thresholds is None else "macro F1"

    @property
    def judged_on(self) -> str:
        """Number of images and their part of the data, such as "10,000 test images"."""
        return plural(self.images, f"{self.part} image")

    @property
    def measured(self) -> dict[FileName, Measured]:
        """The results of the files that gave answers, by name."""
        return {name: row for name, row in self.artifacts.items() if isinstance(row, Measured)}

    def share(self, value: float, digits: int = 2) -> str:
        """Format a share (0-1) of the images; those of a multi-label model are means over labels, so no counts."""
        return (share_of if self.thresholds is None else percent_of)(value, self.images, digits)

    def _score(self, scores: Scores) -> str:
        return "" if scores.score is None else self.share(scores.score)
