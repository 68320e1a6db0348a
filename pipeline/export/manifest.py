"""Build the ``manifest.json`` of an export."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version

from pipeline.artifacts import sha256
from pipeline.data.photo_settings import READING
from pipeline.documents.history import History
from pipeline.documents.manifest import (
    CriteriaEntry,
    Decision,
    FileEntry,
    ImageSet,
    InputContract,
    Manifest,
    PhotoReading,
    StageCost,
    ValidationSet,
)
from pipeline.export.familiarity import is_wanted
from pipeline.export.formats import ExportInputs
from pipeline.export.load.contract import describe_contract
from pipeline.export.load.model import Loaded
from pipeline.formats import FP32, format_of
from pipeline.metrics.classification import accuracy
from pipeline.metrics.multi_label import decisions, macro_f1

TOOLS = ("tensorflow", "keras", "onnx", "tf2onnx", "onnxruntime", "ai-edge-litert", "numpy", "pillow")


@dataclass(frozen=True)
class Built:
    """The outcome of building the model files, each dict by file name.

    Attributes:
        contents: bytes of the files that could be built.
        decisions: outcomes of the int8 searches.
        failed: reasons why the other files could not be built.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def manifest_of(  # noqa: PLR0913, PLR0917 - all that a manifest says
    contents: dict[str, bytes],
    built: Built,
    inputs: ExportInputs,
    files: Sequence[str],
    loaded: Loaded,
    history: History | None,
) -> Manifest:
    """Build the manifest of an export; ``contents`` are all files' bytes by name, ``files`` the requested formats."""
    source = loaded.source
    deployable, validation, photos = inputs.deployable, inputs.validation, inputs.spec(FP32.name)
    thresholds, expected = inputs.scored.thresholds, inputs.scored.expected
    tools = (*TOOLS, *dict.fromkeys(tool for name in files for tool in format_of(name).container.tools))
    return Manifest(
        files={
            name: FileEntry(bytes=len(content), sha256=sha256(content)) for name, content in sorted(contents.items())
        },
        class_names=deployable.class_names,
        side=deployable.side,
        width=deployable.width,
        scale=deployable.scaling.scale,
        offset=deployable.scaling.offset,
        temperature=deployable.temperature,
        thresholds=thresholds,
        source=source.path.name,
        output=source.output if source.path.suffix == ".keras" else None,  # HDF5: saved with this one
        bgr=deployable.scaling.bgr,
        photos=PhotoReading(**{name: getattr(photos, name) for name in READING}),
        contract=InputContract(
            preprocessing=describe_contract(
                deployable, photos, source.asked, trained_here=history is not None and history.records_preprocessing
            ),
            asked=source.asked,
            checked=loaded.checked,
        ),
        calibration=ImageSet(images=len(inputs.calibration), digest=inputs.calibration.digest),
        validation=ValidationSet(
            images=len(validation),
            digest=validation.digest,
            keras_accuracy=accuracy(expected, validation.labels) if validation.labeled else None,
            keras_macro_f1=macro_f1(decisions(expected, thresholds), validation.multi_hot)
            if thresholds is not None and validation.multi_hot is not None
            else None,
        ),
        familiarity=inputs.familiarity if any(is_wanted(format_of(name), inputs.keep) for name in files) else None,
        criteria=CriteriaEntry(**asdict(inputs.criteria)),
        decisions=built.decisions,
        failed=built.failed,
        passed=not built.failed and all(decision.passed for decision in built.decisions.values()),
        stages=tuple(StageCost(**asdict(cost)) for cost in inputs.costs.entries),
        versions={"python": platform.python_version(), **{tool: version(tool) for tool in tools}},
    )
