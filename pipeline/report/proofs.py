"""``verify.json`` and ``drift.json``."""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.report.files import Count, Entry, Share, Some

Decibels = Annotated[float, Field(ge=-1000, le=1000)]


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


class Verified(Entry):
    """``verify.json``."""

    images: Some
    part: str = "test"
    class_names: tuple[str, ...] = Field(min_length=2)
    test_digest: str
    keras: Scores
    artifacts: dict[str, Measured | Unusable]
    passed: bool
    caveats: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_matrices(self) -> "Verified":
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
    def measured(self) -> dict[str, Measured]:
        """The files that answered, by name."""
        return {name: row for name, row in self.artifacts.items() if isinstance(row, Measured)}


class Layer(Entry):
    """A layer of the reference."""

    name: str
    kind: str


class LayerDistance(Entry):
    """How close a file's layer is to it."""

    snr_db: Decibels
    cosine: float


class Flip(Entry):
    """An image whose class is another in a file than in Keras."""

    image: Count
    true_class: str
    keras_class: str
    keras_probability: Share
    file_class: str = Field(alias="class")
    probability: Share


class FileDrift(Entry):
    """Layers and flips of one file."""

    sha256: str | None = None
    threshold_db: Decibels
    first_past: str | None
    layers: dict[str, LayerDistance]
    flips: tuple[Flip, ...]


class Drifted(Entry):
    """``drift.json``; ``pictures`` are PNG files in base64, by the image's index."""

    images: Some
    layer_images: Some
    layers: tuple[Layer, ...] = Field(min_length=1)
    artifacts: dict[str, FileDrift] = Field(min_length=1)
    pictures: dict[str, str]
