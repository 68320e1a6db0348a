"""``manifest.json``: what export wrote, from what, by which versions, and how int8 was chosen."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, model_validator

from pipeline import artifacts
from pipeline.documents.base import (
    FEWEST_TO_TELL,
    TOO_FEW,
    Count,
    Document,
    Entry,
    FileName,
    FiniteOrNone,
    NotNegative,
    Positive,
    PositiveCount,
    Sha256,
    Share,
    named,
)
from pipeline.documents.shown import Shown, ShowsItself
from runtime.spec import MAX_SIDE

Channels = tuple[float, float, float]


class FileEntry(Entry):
    """A file of the export folder."""

    bytes: PositiveCount
    sha256: Sha256


class ImageSet(Entry):
    """Images that export used; ``digest`` is of their pixels and labels."""

    images: Count
    digest: Sha256


class ValidationSet(ImageSet):
    """The images that every choice was made on; without labels there is no accuracy, with several labels macro F1."""

    keras_accuracy: Share | None
    keras_macro_f1: Share | None = None


class Preprocessing(Entry):
    """How photos become squares, as in ``runtime.spec.ModelSpec``."""

    resize: str
    resize_filter: str
    fill: tuple[int, int, int] = (255, 255, 255)
    ignore_orientation: bool = False


FEEDING = ("range", "bgr", "resize", "resize_filter", "fill", "ignore_orientation")
"""The parts of an input contract: range of values, order of channels, and how photos are read."""


class InputContract(Entry):
    """How the model is fed, which is how it was fed in training as far as anybody knows.

    Attributes:
        fed: in words, a sentence without an end.
        asked: which of ``FEEDING`` the exporting person said.
        checked: what labeled photos say of it; empty where there were none.
    """

    fed: str
    asked: tuple[str, ...] = ()
    checked: str = ""

    @property
    def stated(self) -> str:
        """All of it on one line."""
        return f"{self.fed}; {self.checked}" if self.checked else self.fed


class CriteriaEntry(Entry):
    """What int8 may cost on the validation images: points of accuracy, a share of images, a mean difference."""

    max_points: float
    max_class_points: float
    min_agreement: Share
    max_mean_difference: float


class ConfigEntry(Entry):
    """A quantization config; its further fields are kept as they are (``pipeline.export.quantize.config``)."""

    model_config = ConfigDict(extra="allow")

    method: str
    images: PositiveCount


class Candidate(Entry):
    """A config that was tried for a file, and how its answers compare with Keras's on the validation images.

    ``violations`` says in words which criteria it fails. Without labels there is no accuracy, and nothing lost.
    ``images`` is on how many of the images it was judged, where that is a part of them.
    """

    stage: str
    config: ConfigEntry | None = named("recipe", default=None)
    summary: str
    accuracy: Share | None
    lost_points: float | None
    agreement: Share
    mean_difference: FiniteOrNone
    only_keras_right: Count = 0
    only_candidate_right: Count = 0
    p_value: Share
    worst_class: str = ""
    worst_class_lost_points: float = 0.0
    violations: tuple[str, ...] = named("breaches")
    images: Count | None = None


class Decision(Entry):
    """The search behind a file: the config that was chosen and why, and everything that was tried, in order."""

    config: ConfigEntry | None = named("recipe", default=None)
    summary: str
    passed: bool
    candidates: tuple[Candidate, ...]
    reason: str = ""

    @property
    def winner(self) -> Candidate | None:
        """The candidate that was chosen."""
        return next((candidate for candidate in self.candidates if candidate.summary == self.summary), None)


class StageCost(Entry):
    """What a stage of the export took; ``peak_mib`` is the most memory that the process had held by its end.

    ``seconds`` are by the clock, ``processor_seconds`` those of all threads together.

    A file's stage includes those of its calibration and its search.
    """

    stage: str
    seconds: NotNegative
    processor_seconds: NotNegative | None = None
    peak_mib: NotNegative


class Manifest(ShowsItself, Document):
    """``manifest.json``; a pixel ``v`` enters the network as ``v * scale + offset``, a value for each of R, G, B.

    ``failed`` says of each file that could not be written why not. ``thresholds``, one a class, are those of a
    multi-label model, and of no other.
    """

    FILE: ClassVar = artifacts.MANIFEST
    FORMAT: ClassVar = "edgecnn-manifest"
    REMEDY: ClassVar = "run python -m pipeline export first"

    files: dict[FileName, FileEntry]
    class_names: tuple[str, ...] = Field(min_length=2)
    side: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    width: Annotated[int, Field(ge=1, le=MAX_SIDE)] | None = None
    scale: Channels
    offset: Channels
    temperature: Positive
    output: str | None = None
    thresholds: tuple[Share, ...] | None = None
    bgr: bool = False
    photos: Preprocessing | None = None
    contract: InputContract | None = None
    calibration: ImageSet
    validation: ValidationSet
    criteria: CriteriaEntry = named("gate")
    decisions: dict[FileName, Decision]
    failed: dict[FileName, str] = Field(default_factory=dict)
    passed: bool
    stages: tuple[StageCost, ...] = ()
    versions: dict[str, str]

    @model_validator(mode="after")
    def _check_thresholds(self) -> "Manifest":
        if self.thresholds is not None and len(self.thresholds) != len(self.class_names):
            raise ValueError(f"there is no threshold for each of {len(self.class_names)} labels")
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.side, self.width or self.side

    def shown(self) -> Shown:
        """The files, and how int8 was chosen."""
        rows = [
            (name, f"{entry.bytes / 1024:,.0f}", self.decisions[name].summary if name in self.decisions else "")
            for name, entry in self.files.items()
        ]
        failed = [f"{name} was not written: {why}" for name, why in self.failed.items()]
        accuracy = self.validation.keras_accuracy
        judged = "without labels" if accuracy is None else f"of which Keras names {accuracy:.2%} rightly"
        if self.validation.keras_macro_f1 is not None:
            judged = f"on which Keras has a macro F1 of {self.validation.keras_macro_f1:.2%}"
        notes = (f"int8 was chosen on {self.validation.images:,} images, {judged}.", *failed)
        verdict = ("passed" if self.tells else TOO_FEW) if self.passed else "not passed: see decisions"
        return Shown(f"Export of {len(self.class_names)} classes: {verdict}", ("file", "KiB", "int8"), rows, notes)

    @property
    def tells(self) -> bool:
        """Whether there were images enough that an int8 file within the criteria counts as good."""
        return self.validation.images >= FEWEST_TO_TELL

    def sha256_of(self, name: str) -> str | None:
        """The digest of a listed file."""
        entry = self.files.get(name)
        return None if entry is None else entry.sha256
