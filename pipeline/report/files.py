"""The JSON files that a report is made from, as typed values: what is not as it should be is one clear line."""

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import ReportError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e15)]
Decibels = Annotated[float, Field(ge=-1000, le=1000)]
Count = Annotated[int, Field(ge=0)]
Some = Annotated[int, Field(gt=0)]


class Entry(BaseModel):
    """A JSON object: its entries are of these types, every number is finite, and further entries are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, strict=True)


class FileEntry(Entry):
    """A file of the export folder."""

    bytes: Some
    sha256: str


class ImageSet(Entry):
    """Images that export used."""

    images: Count
    digest: str


class ValidationSet(ImageSet):
    """The images that every choice was made on."""

    keras_accuracy: Share


class Candidate(Entry):
    """A recipe that was tried for a file."""

    stage: str
    summary: str
    accuracy: Share
    lost_points: float
    p_value: float
    agreement: Share
    latency_ratio: Positive | None
    breaches: tuple[str, ...]


class Decision(Entry):
    """The search behind a file."""

    summary: str
    passed: bool
    candidates: tuple[Candidate, ...]


class Manifest(Entry):
    """``manifest.json``."""

    files: dict[str, FileEntry]
    class_names: tuple[str, ...]
    side: int
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    temperature: float
    calibration: ImageSet
    validation: ValidationSet
    gate: dict[str, float]
    decisions: dict[str, Decision]
    passed: bool
    versions: dict[str, str]


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
    class_names: tuple[str, ...] = Field(min_length=2)
    test_digest: str
    keras: Scores
    artifacts: dict[str, Measured | Unusable]
    passed: bool

    @model_validator(mode="after")
    def _check_matrices(self) -> "Verified":
        count = len(self.class_names)
        for name, scores in {"keras": self.keras, **self.measured}.items():
            if [len(row) for row in scores.confusion] != [count] * count:
                raise ValueError(f"{name}: its confusion matrix is not {count} by {count}")
        return self

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


File = TypeVar("File", bound=Entry)


def read(path: Path, kind: type[File], remedy: str) -> File:
    """Read a JSON file.

    Args:
        path: the file.
        kind: what it should hold.
        remedy: what the user is to do about one that cannot be used.

    Raises:
        ReportError: not there, no JSON, or not such a file.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise ReportError(f"{path}: not there; {remedy}") from error
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ReportError(f"{path}: {f'{where}: ' if where else ''}{first['msg']}; {remedy}") from error
