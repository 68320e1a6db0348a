"""``manifest.json``: the exported files, their inputs, the versions of the tools, and the choice of int8."""

from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, model_validator

from pipeline import artifacts
from pipeline.documents.base import (
    MIN_IMAGES_FOR_VERDICT,
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
from pipeline.documents.display import DisplayedAsTable, DisplayTable
from pipeline.documents.known import FamiliarityCheck
from pipeline.documents.shares import percent_of, share_of
from runtime.spec import MAX_SIDE
from runtime.text import plural

Channels = tuple[float, float, float]
DEFAULT, TRAINED, BIAS_CORRECTION = "default", "training", "bias correction"
"""Stages of an export without a search; see ``Candidate.stage``."""


class FileEntry(Entry):
    """A file of the export folder."""

    bytes: PositiveCount
    sha256: Sha256


class ImageSet(Entry):
    """Images that export used; ``digest`` is of their pixels and labels."""

    images: Count
    digest: Sha256


class ValidationSet(ImageSet):
    """The images on which all choices were made, with Keras's accuracy, or macro F1 of a multi-label model.

    Both are ``None`` if the images have no labels.
    """

    keras_accuracy: Share | None
    keras_macro_f1: Share | None = None


class PhotoReading(Entry):
    """The settings with which photos are read, as in ``runtime.spec.ModelSpec``."""

    resize: str
    resize_filter: str
    fill: tuple[int, int, int] = (255, 255, 255)
    ignore_orientation: bool = False


CONTRACT_PARTS = ("range", "bgr", "resize", "resize_filter", "fill", "ignore_orientation")
"""The parts of an input contract: value range, channel order, and how photos are read."""


class InputContract(Entry):
    """The preprocessing of the model, which should be that of its training.

    Attributes:
        preprocessing: description of the preprocessing, without a final period.
        asked: the parts in ``CONTRACT_PARTS`` that options of export stated.
        checked: the result of the check with labeled photos; empty if there was none.
    """

    preprocessing: str = named("fed")
    asked: tuple[str, ...] = ()
    checked: str = ""

    @property
    def stated(self) -> str:
        """Description and result of the check on one line."""
        return f"{self.preprocessing}; {self.checked}" if self.checked else self.preprocessing

    @property
    def stated_by_export(self) -> str:
        """The same for images other than those of the check: it says that export made it."""
        return f"{self.preprocessing}; at export {self.checked}" if self.checked else self.preprocessing


class CriteriaEntry(Entry):
    """The acceptance criteria of int8 on the validation images.

    ``max_points`` and ``max_class_points`` are percentage points of accuracy lost over all and in one class,
    ``max_mean_difference`` is of probabilities (0-1).
    """

    max_points: float
    max_class_points: float
    min_agreement: Share
    max_mean_difference: float


class ConfigEntry(Entry):
    """A quantization config; further fields are kept unchanged (see ``pipeline.export.quantize.config``)."""

    model_config = ConfigDict(extra="allow")

    method: str
    images: PositiveCount


class Candidate(Entry):
    """A config that was tried for a file, and its results against Keras on the validation images.

    ``violations`` lists the criteria that it fails, as texts. Without labels ``accuracy`` and ``lost_points`` are
    ``None``. ``images`` is the number of images that it was judged on, if these are only a part of the validation set.
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


class LayerNoise(Entry):
    """The rounding noise of a layer of an int8 file.

    ``noise`` is the energy of the error of its output as a share of the float output's, ``added`` the part that its
    inputs do not have yet, ``multiplications`` its share (0-1) of the network's multiplications: the price of the layer
    in float. ``in_float`` says whether the file computes it in float.
    """

    name: str
    noise: NotNegative
    added: float
    multiplications: Share
    in_float: bool


class Decision(Entry):
    """The choice of a file's config: the chosen config, the reason, and all candidates in the order of trial.

    ``layers`` has the layers in the data's order, as far as their noise was measured: ``--quick`` measures it only if
    the default config fails.
    """

    config: ConfigEntry | None = named("recipe", default=None)
    summary: str
    passed: bool
    candidates: tuple[Candidate, ...]
    reason: str = ""
    layers: tuple[LayerNoise, ...] = ()

    @property
    def winner(self) -> Candidate | None:
        """The candidate that was chosen."""
        return next((candidate for candidate in self.candidates if candidate.summary == self.summary), None)


class StageCost(Entry):
    """The cost of a stage of the export.

    ``seconds`` is wall-clock time, ``processor_seconds`` CPU time of all threads, ``peak_mib`` the peak memory of the
    process up to the stage's end. The stage of a file includes the stages of its calibration and its search.
    """

    stage: str
    seconds: NotNegative
    processor_seconds: NotNegative | None = None
    peak_mib: NotNegative


class Manifest(DisplayedAsTable, Document):
    """``manifest.json``.

    A pixel ``v`` enters the network as ``v * scale + offset``; both have a value for each of R, G, B. ``failed`` maps
    the name of a file that could not be written to the reason. ``source`` is the name of the file that was exported,
    without folders. ``photo_folders`` has the SHA-256 of the absolute path of all photos that export read, and
    ``skip_bad`` of those that it read with ``--skip-bad``: bundles contain the manifest, and paths tell about a person.
    ``thresholds``, one for each label, are ``None`` unless the model is multi-label. ``familiarity`` is ``None`` if no
    file was to report it. Older manifests have neither ``source`` nor ``photo_folders`` nor ``familiarity``.
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
    source: FileName | None = None
    thresholds: tuple[Share, ...] | None = None
    bgr: bool = False
    photos: PhotoReading | None = None
    photo_folders: tuple[Sha256, ...] | None = None
    skip_bad: tuple[Sha256, ...] = ()
    contract: InputContract | None = None
    calibration: ImageSet
    validation: ValidationSet
    familiarity: FamiliarityCheck | None = None
    criteria: CriteriaEntry = named("gate")
    decisions: dict[FileName, Decision]
    failed: dict[FileName, str] = Field(default_factory=dict)
    passed: bool
    stages: tuple[StageCost, ...] = ()
    versions: dict[str, str]

    @model_validator(mode="after")
    def _check_thresholds(self) -> "Manifest":
        if self.thresholds is not None and len(self.thresholds) != len(self.class_names):
            raise ValueError(f"expected {plural(len(self.class_names), 'threshold')}, one for each label")
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.side, self.width or self.side

    def as_table(self) -> DisplayTable:
        """Return a table of the files and the choice of int8."""
        rows = [
            (name, f"{entry.bytes / 1024:,.0f}", self.decisions[name].summary if name in self.decisions else "")
            for name, entry in self.files.items()
        ]
        failed = [f"{name} was not written: {why}" for name, why in self.failed.items()]
        unsure = [self.familiarity.sentence] if self.familiarity and not self.familiarity.is_useful else []
        accuracy = self.validation.keras_accuracy
        judged = "without labels"
        if accuracy is not None:
            judged = f"of which Keras classifies {share_of(accuracy, self.validation.images)} correctly"
        if self.validation.keras_macro_f1 is not None:
            macro_f1 = percent_of(self.validation.keras_macro_f1, self.validation.images)
            judged = f"as were the thresholds; Keras has a macro F1 of {macro_f1} with them"
        notes = (f"int8 was {self.how_int8} on {plural(self.validation.images, 'image')}, {judged}.", *unsure, *failed)
        verdict = ("passed" if self.has_enough_images else TOO_FEW) if self.passed else "not passed: see decisions"
        return DisplayTable(
            f"Export of {plural(len(self.class_names), 'class')}: {verdict}", ("file", "KiB", "int8"), rows, notes
        )

    @property
    def has_searched(self) -> bool:
        """Whether a config or layers in float were chosen; ``--quick`` does so only if the default config fails."""
        return bool(self._stages - {DEFAULT, TRAINED, BIAS_CORRECTION})

    @property
    def has_compared_biases(self) -> bool:
        """Whether the validation images decided if biases are corrected, as they do with ``--quick``, too."""
        return BIAS_CORRECTION in self._stages

    @property
    def _stages(self) -> set[str]:
        return {candidate.stage for decision in self.decisions.values() for candidate in decision.candidates}

    @property
    def how_int8(self) -> str:
        """What export did with int8 on the validation images: "chosen" or "checked"."""
        return "chosen" if self.has_searched else "checked"

    @property
    def has_enough_images(self) -> bool:
        """Whether there were enough validation images for a verdict on int8 files."""
        return self.validation.images >= MIN_IMAGES_FOR_VERDICT

    def sha256_of(self, name: str) -> str | None:
        """Return the SHA-256 of a listed file; ``None`` if it is not listed."""
        entry = self.files.get(name)
        return None if entry is None else entry.sha256
