"""Export a Keras model: model files for the device, each of which holds its spec, and a manifest beside them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data import samples
from pipeline.data.dataset import Dataset, format_size, hold_out, with_multi_hot
from pipeline.data.photo_settings import spec_beside
from pipeline.documents.history import History, history_for, read_history
from pipeline.documents.manifest import Manifest
from pipeline.errors import ExportError
from pipeline.export.accuracy import out_of_fold, with_accuracy
from pipeline.export.confidence import with_confidence
from pipeline.export.failure import why_not
from pipeline.export.familiarity import KEEP, with_threshold
from pipeline.export.formats import ExportedGraph, ExportInputs, load_bytes
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import Loaded, Source, keras_bytes, load
from pipeline.export.manifest import Built, manifest_of
from pipeline.export.quantize.acceptance import AcceptanceCriteria
from pipeline.export.quantize.answers import answers_of
from pipeline.export.replaced import what_is_replaced
from pipeline.formats import FP32, MODEL_FILES, Format, format_of
from pipeline.metrics.difference import max_difference
from pipeline.system.callable_package import CallablePackage
from runtime.drift.statistics import summary
from runtime.golden import GoldenSet
from runtime.spec import ModelSpec
from runtime.system.writing import check_writable, clear_leftovers
from runtime.text import first_of

GOLDEN_IMAGES, GOLDEN_BYTES = 8, 100_000
ROUNDINGS = 4
"""Golden tolerance of an fp32 file: this multiple of its largest difference from Keras's probabilities."""
SIZES_WRITTEN = 5
"""Free disk space that an export needs, as a multiple of the Keras file's size: a copy, fp32 and int8 files in two
formats, and a reserve."""


@dataclass(frozen=True)
class Settings:
    """Settings of an export.

    Attributes:
        quick: use the default int8 config instead of searching for the best one.
        criteria: the largest loss on the validation set that an int8 file may have.
        files: names of the model files to write.
        keep: share (0-1) of the validation images whose familiarity is at least the threshold that each file stores;
            1: the files report no familiarity. ``None``: 0.95, only in ONNX files of networks that end in a softmax,
            and only if it tells known images from unknown ones (``Manifest.familiarity``).
        precision: share (0-1) of the answers above the confidence threshold that must be right; ``None``: no
            threshold.
        photo_folders, skip_bad: for the manifest, see ``Manifest``.
    """

    quick: bool = False
    criteria: AcceptanceCriteria = field(default_factory=AcceptanceCriteria)
    files: tuple[str, ...] = MODEL_FILES
    keep: float | None = None
    precision: float | None = None
    photo_folders: tuple[str, ...] = ()
    skip_bad: tuple[str, ...] = ()


def export(
    model: Source | Loaded,
    out: Path,
    calibration: Dataset | None = None,
    validation: Dataset | None = None,
    settings: Settings = Settings(),
) -> Manifest:
    """Write the model files, a copy of the Keras file, and ``manifest.json`` into ``out``.

    Args:
        model: the model file and its input settings, or the model that was already loaded from it; its scaling and
            temperature become part of the exported graphs.
        out: folder to write; each file is replaced atomically.
        calibration: images from which the int8 ranges are computed; by default CIFAR-10's.
        validation: images on which every choice is made; none may be among the calibration images. By default
            CIFAR-10's, or, where only ``calibration`` is given, a fifth of it that is held out.
        settings: the other options.

    Returns:
        The manifest. ``passed`` is whether every file could be built and every int8 file passes the acceptance
        criteria. All files that could be built are written either way; ``failed`` gives the reason for the others.

    Raises:
        ExportError: the model, its class names or the images are unusable, or no format can hold the network.
        OutputError: ``out`` cannot be written.
    """
    source = model.source if isinstance(model, Loaded) else model
    prepare(out, source.path)
    loaded = model if isinstance(model, Loaded) else _load(model)
    history = read_history(source.path)
    inputs = _inputs(loaded, *_images(calibration, validation, history), settings, history)
    with inputs.costs.stage("Keras's answers"):
        _ = inputs.scored
    _with_confidence(inputs.spec(FP32.name), inputs.scored.expected, inputs)  # raises before anything is written
    keras_content = keras_bytes(source.path, loaded.deployable.model)
    contents = {artifacts.MODEL_KERAS: keras_content}
    if history is not None:
        contents[artifacts.HISTORY] = history_for(source.path, sha256(keras_content))
    replaced = what_is_replaced(out, sha256(keras_content), (*contents, *settings.files))
    if replaced:
        print(replaced, file=sys.stderr)
    provenance = {
        "keras_sha256": sha256(keras_content),
        "calibration_sha256": inputs.calibration.digest,
        "validation_sha256": inputs.validation.digest,
    }
    built = _build(inputs, [format_of(name) for name in settings.files], provenance)
    if not built.contents:
        raise ExportError(f"{source.path}: no file can be written; {'; '.join(map(': '.join, built.failed.items()))}")
    contents |= built.contents
    manifest = manifest_of(contents, built, inputs, settings.files, loaded, history).model_copy(
        update={"photo_folders": settings.photo_folders, "skip_bad": settings.skip_bad}
    )
    for name, content in contents.items():
        artifacts.write_bytes(out / name, content)
    for name in built.failed:
        (out / name).unlink(missing_ok=True)  # an older file would belong to another model
    manifest.write(out)
    return manifest


def _build(inputs: ExportInputs, rows: Sequence[Format], provenance: dict[str, str]) -> Built:
    built = Built()
    for number, row in enumerate(rows, start=1):
        print(f"[{number}/{len(rows)}] {row.file}", file=sys.stderr, flush=True)
        try:
            with inputs.costs.stage(row.file):
                exported = row.build(inputs, row)
                built.contents[row.file] = _finish(exported, row, inputs, provenance)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - converters and engines raise exceptions of any class
            built.failed[row.file] = why_not(error)
            continue
        if exported.decision is not None:
            built.decisions[row.file] = exported.decision
    return built


def _load(source: Source) -> Loaded:
    keras.utils.clear_session()  # restarts the counters of layer names, which end up in the files
    return Loaded(source, load(source))


def _inputs(
    loaded: Loaded, calibration: Dataset, validation: Dataset, settings: Settings, history: History | None
) -> ExportInputs:
    """Collect the network, the images and the settings from which every file is built.

    Raises:
        ExportError: the images do not fit the model.
    """
    source, deployable = loaded.source, loaded.deployable
    if deployable.multi_label:
        calibration, validation = with_multi_hot(calibration), with_multi_hot(validation)
    for name, images in (("calibration", calibration), ("validation", validation)):
        _check(images, f"the {name} images", deployable, source.path)
    preprocessing = spec_beside(
        source.path, deployable.side, deployable.class_names, deployable.width, **source.reading
    )
    return ExportInputs(
        deployable, calibration, validation, settings.criteria, settings.quick, preprocessing,
        keep=settings.keep, precision=settings.precision,
        fitted_temperature=history is not None and history.out_of_fold is None and source.temperature is None,
        out_of_fold=out_of_fold(history, deployable.class_names),
        trained=history.quantize_aware if history is not None else None,
    )  # fmt: skip


def _check(images: Dataset, name: str, deployable: Deployable, path: Path) -> None:
    """Refuse images whose size or classes differ from the model's."""
    if images.size != deployable.size or images.class_names != deployable.class_names:
        raise ExportError(
            f"{path} takes {format_size(deployable.size)} images of {first_of(deployable.class_names)}; "
            f"{name} are {format_size(images.size)} of {first_of(images.class_names)}; "
            "give photos of its classes with --data DIR"
        )


def prepare(out: Path, model_path: Path) -> None:
    """Check that ``out`` has room for the files of a model, and remove temporary files of interrupted exports.

    Raises:
        OutputError: the folder cannot be written, or the disk has too little free space.
    """
    size = model_path.stat().st_size if model_path.is_file() else 0
    check_writable(out / artifacts.MANIFEST, SIZES_WRITTEN * size)
    clear_leftovers(out)


def _images(
    calibration: Dataset | None, validation: Dataset | None, history: History | None
) -> tuple[Dataset, Dataset]:
    if calibration is not None and validation is None:
        return hold_out(calibration, 1 / 5)
    return calibration or samples.calibration_images(), validation or samples.validation_images(history)


def _finish(exported: ExportedGraph, row: Format, inputs: ExportInputs, provenance: dict[str, str]) -> bytes:
    """Return the bytes of a model file; its accuracy and golden probabilities are those of this file, not of Keras."""
    spec = replace(inputs.spec(row.precision.name), provenance=provenance)
    if exported.outcome is not None:
        spec = replace(spec, provenance={**provenance, "config": str(exported.outcome.winner.config)})
    images, graph = inputs.validation, exported.graph
    if exported.outcome is not None:
        winner = exported.outcome.winner
        with_score, answers, familiarity = winner.with_score, winner.answers, winner.familiarity
    else:
        with_score = inputs.with_familiarity(graph, row)
        pack = partial(row.pack, spec=spec, golden=None)
        answers, familiarity = answers_of(load_bytes, pack, graph, with_score, images.pixels)
    spec = with_accuracy(spec, answers, inputs.scored.expected, images, inputs.out_of_fold)
    spec = _with_confidence(spec, answers, inputs)
    if familiarity is not None:
        graph, spec = with_score, with_threshold(spec, familiarity, images, inputs.keep)
    unknown = None if spec.known_threshold is None else 1 - (inputs.keep or KEEP)
    spec = replace(spec, validation=summary(inputs.looks, answers, unknown))
    chosen = golden_images(images)
    tolerance = row.precision.golden_tolerance
    if row.precision is FP32:  # in a deep network, rounding alone may exceed the usual tolerance
        tolerance = max(tolerance, ROUNDINGS * max_difference(answers, inputs.scored.expected))
    golden = GoldenSet(images.pixels[chosen], answers[chosen], tolerance)
    return row.pack(graph, spec, golden)


def _with_confidence(spec: ModelSpec, answers: NDArray[np.float32], inputs: ExportInputs) -> ModelSpec:
    if inputs.precision is None:
        return spec
    return with_confidence(spec, answers, inputs.validation, inputs.divisors, inputs.precision)


def golden_images(images: Dataset) -> NDArray[np.int64]:
    """Return the indices, int64, of at most 8 evenly spaced images; fewer if more exceed ``GOLDEN_BYTES``."""
    count = min(max(GOLDEN_BYTES // images.pixels[0].size, 1), GOLDEN_IMAGES, len(images))
    places: NDArray[np.int64] = np.arange(count) * len(images) // count
    return places


sys.modules[__name__].__class__ = CallablePackage  # notebooks call ``export`` after ``from pipeline import export``
