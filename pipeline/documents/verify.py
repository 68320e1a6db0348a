"""``verify.json``: how far each exported file is from Keras on the same images, and the verdicts."""

from typing import ClassVar

from pydantic import Field, model_validator

from pipeline import artifacts
from pipeline.documents.base import Count, Document, Entry, FileName, PositiveCount, Share


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


class Scores(Entry):
    """What probabilities on the test images come to; rows of the matrix are what the images show."""

    accuracy: Share
    confusion: tuple[tuple[Count, ...], ...]
    calibration: Calibration | None


class Limits(Entry):
    """The most that a file may differ from Keras."""

    max_difference: float
    mean_difference: float
    min_agreement: Share
    max_accuracy_drop: float


class Measured(Scores):
    """A file that answered."""

    bytes: int
    sha256: str
    max_difference: Share
    mean_difference: Share
    agreement: Share
    p_value: float
    accuracy_drop_points: float
    limits: Limits
    breaches: tuple[str, ...]


class Unusable(Entry):
    """A file that gave no answers, and why."""

    breaches: tuple[str, ...] = Field(min_length=1)


class Verification(Document):
    """``verify.json``."""

    FILE: ClassVar = artifacts.VERIFY
    FORMAT: ClassVar = "edgecnn-verify"
    REMEDY: ClassVar = "run python -m pipeline verify DIR"

    images: PositiveCount
    part: str = "test"
    class_names: tuple[str, ...] = Field(min_length=2)
    test_digest: str
    keras: Scores
    artifacts: dict[FileName, Measured | Unusable]
    passed: bool
    caveats: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_matrices(self) -> "Verification":
        count = len(self.class_names)
        for name, scores in {"keras": self.keras, **self.measured}.items():
            if [len(row) for row in scores.confusion] != [count] * count:
                raise ValueError(f"{name}: its confusion matrix is not {count} by {count}")
        return self

    @property
    def judged_on(self) -> str:
        """How many images of which part of the data."""
        return f"{self.images:,} {self.part} images"

    @property
    def measured(self) -> dict[FileName, Measured]:
        """The files that answered, by name."""
        return {name: row for name, row in self.artifacts.items() if isinstance(row, Measured)}
