"""``verify.json``: how far each exported file is from Keras on the same images, and the verdicts."""

from typing import ClassVar

from pydantic import Field, computed_field, model_validator

from pipeline import artifacts
from pipeline.documents.base import (
    FEWEST_TO_TELL,
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
from pipeline.documents.shown import Shown, ShowsItself

MOST_CLASSES = 100
"""Up to which confusion matrices are written: that of 1,000 classes would take megabytes a file."""


class Calibration(Entry):
    """The bins of a reliability diagram."""

    expected_error: float
    counts: tuple[Count, ...]
    confidence: tuple[Share, ...]
    accuracy: tuple[Share, ...]

    @model_validator(mode="after")
    def _check_lengths(self) -> "Calibration":
        if not len(self.counts) == len(self.confidence) == len(self.accuracy):
            raise ValueError("counts, confidence and accuracy are not of one length")
        return self


class LabelRow(Entry):
    """One label of a multi-label model: how many images show it; without any there are no figures."""

    images: Count
    f1: ShareOrNone
    average_precision: ShareOrNone


class LabelScores(Entry):
    """How well a multi-label model finds labels; intervals are of 95 %, ``rows`` in the order of the classes."""

    macro_f1: Share
    macro_f1_interval: tuple[Share, Share]
    mean_average_precision: Share
    mean_average_precision_interval: tuple[Share, Share]
    rows: tuple[LabelRow, ...]


class Selective(Entry):
    """How many errors remain if only the surest answers count, from few of them to all.

    Attributes:
        threshold: the confidence (0-1) from which on an answer counts.
        coverage: share of the answers that count.
        risk: share of these that are wrong.
        area: under the curve of risk against coverage (AURC), over all confidences that occur.
    """

    threshold: tuple[Share, ...]
    coverage: tuple[Share, ...]
    risk: tuple[Share, ...]
    area: Share

    @model_validator(mode="after")
    def _check_lengths(self) -> "Selective":
        if not 0 < len(self.threshold) == len(self.coverage) == len(self.risk):
            raise ValueError("threshold, coverage and risk are not of one length, or empty")
        return self


class Scores(Entry):
    """Accuracy, confusion matrix (rows: what the images show) and calibration of probabilities on the test images.

    There are no calibration and no curve of risk where some probability is not a finite number, no matrix of more than
    ``MOST_CLASSES`` classes, and nothing at all where the images have no labels. Of a multi-label model there is
    ``labels`` instead.
    """

    accuracy: Share | None
    confusion: tuple[tuple[Count, ...], ...]
    calibration: Calibration | None
    selective: Selective | None = None
    labels: LabelScores | None = None

    @property
    def score(self) -> float | None:
        """Accuracy, or macro F1 of a multi-label model; ``None`` where the images have no labels."""
        return self.labels.macro_f1 if self.labels else self.accuracy


class Limits(Entry):
    """The most that a file may differ from Keras."""

    max_difference: float
    mean_difference: float
    min_agreement: Share
    max_accuracy_drop: float


class Measured(Scores):
    """A file that answered; its differences are ``None`` where some probability is not a finite number.

    Of a multi-label model ``label_agreement`` has a share for each class, ``agreement`` their mean, and the points
    lost are of macro F1.
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
    """A file that gave no answers, and why."""

    violations: tuple[str, ...] = named("breaches", min_length=1)


class FileSummary(Entry):
    """What every version says of a file that answered."""

    bytes: PositiveCount
    accuracy: Share | None
    agreement: Share


class VerificationSummary(Document):
    """What every version of ``verify.json`` says; the first ones had neither scores by class nor digests of files."""

    FILE: ClassVar = artifacts.VERIFY
    FORMAT: ClassVar = "edgecnn-verify"
    REMEDY: ClassVar = "run python -m pipeline verify DIR"

    images: PositiveCount
    keras_accuracy: Share | None
    artifacts: dict[FileName, FileSummary]


class Verification(ShowsItself, Document):
    """``verify.json``.

    ``part`` says of which part of the data the images are, ``fed`` how Keras and the files got them (the manifest's
    input contract), ``caveats`` what a PASS leaves open. ``thresholds`` are those of a multi-label model.
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
    fed: str = ""
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
                raise ValueError(f"{name}: its labels are not {count}")
        shares = [len(row.label_agreement) for row in self.measured.values()]
        if any(length != (0 if self.thresholds is None else count) for length in shares):
            raise ValueError(f"there is no agreement for each of {count} labels")
        if self.thresholds is not None and len(self.thresholds) != count:
            raise ValueError(f"there is no threshold for each of {count} labels")
        return self

    @computed_field  # type: ignore[prop-decorator]
    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def keras_accuracy(self) -> float | None:
        """Share (0-1) of the images that Keras classifies correctly; ``None`` where they have no labels."""
        return self.keras.accuracy

    def shown(self) -> Shown:
        """The verdicts."""
        header = ("file", "KiB", self.judged_by, "agreement", "mean difference", "verdict")
        rows = [("Keras", "", _percent(self.keras), "", "", "")]
        for name, row in self.artifacts.items():
            verdict = "; ".join(row.violations) or ("pass" if self.tells else TOO_FEW)
            if isinstance(row, Measured):
                share = _percent(row)
                mean = "" if row.mean_difference is None else f"{row.mean_difference:.1e}"
                rows.append((name, f"{row.bytes / 1024:,.0f}", share, f"{row.agreement:.2%}", mean, verdict))
            else:
                rows.append((name, "", "", "", "", verdict))
        verdict = ("passed" if self.tells else TOO_FEW) if self.passed else "failed"
        heading = f"Against Keras on {self.judged_on}: {verdict}"
        return Shown(heading, header, rows, self.caveats)

    @property
    def tells(self) -> bool:
        """Whether there are images enough that a file within its limits counts as good."""
        return self.images >= FEWEST_TO_TELL

    @property
    def judged_by(self) -> str:
        """The figure that labels give."""
        return "accuracy" if self.thresholds is None else "macro F1"

    @property
    def judged_on(self) -> str:
        """How many images of which part of the data."""
        return f"{self.images:,} {self.part} images"

    @property
    def measured(self) -> dict[FileName, Measured]:
        """The files that answered, by name."""
        return {name: row for name, row in self.artifacts.items() if isinstance(row, Measured)}


def _percent(scores: Scores) -> str:
    share = scores.score
    return "" if share is None else f"{share:.2%}"
