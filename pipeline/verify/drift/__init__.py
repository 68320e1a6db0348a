"""Measure how converted models differ from Keras: signal-to-noise ratio of each layer, and images that change class."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.data import samples
from pipeline.data.dataset import Dataset, format_size, with_multi_hot
from pipeline.documents.drift import DriftReport, FileDrift, Layer, LayerDistance, Steepest
from pipeline.documents.history import read_history
from pipeline.documents.manifest import Manifest
from pipeline.errors import PipelineError
from pipeline.export.load.model import load_exported
from pipeline.export.quantize.answers import predict_in_batches
from pipeline.formats import format_of
from pipeline.system.quiet import load_classifier
from pipeline.verify.drift.flips import PICTURED, flips, label_flips, pictures
from pipeline.verify.drift.keras_tap import KerasTap
from pipeline.verify.drift.keras_tap import Layer as LayerOfKeras
from pipeline.verify.drift.measure import Drift, first_past, measure, steepest
from pipeline.verify.drift.taps import Tap
from pipeline.verify.parity import model_files
from runtime.system.writing import check_writable
from runtime.text import first_of


def drift(
    folder: Path, images: Dataset | None = None, *, layer_images: int = 64, threshold_db: float | None = None
) -> DriftReport:
    """Compare every layer of every model file in ``folder`` with Keras and write ``drift.json``.

    Args:
        folder: that export wrote.
        images: of the model's classes; CIFAR-10's validation images by default.
        layer_images: number of images, evenly spaced in the set, to compare layers on; class changes are looked for on
            all images.
        threshold_db: signal-to-noise ratio below which a layer counts as drifted; the default depends on the precision.

    Returns:
        The document that is written.

    Raises:
        PipelineError: export did not write the folder, or the images have other classes or another size.
        ModelError: a model file is damaged.
    """
    manifest = Manifest.read(folder)
    check_writable(folder / DriftReport.FILE)
    images = images or samples.validation_images(read_history(folder / artifacts.MODEL_KERAS))
    if images.class_names != manifest.class_names or images.size != manifest.size:
        raise PipelineError(
            f"{folder} takes {format_size(manifest.size)} images of {first_of(manifest.class_names)}; "
            f"got {format_size(images.size)} of {first_of(images.class_names)}: pass photos of the model's classes"
        )
    deployable, thresholds = load_exported(folder), manifest.thresholds
    images = images if thresholds is None else with_multi_hot(images)
    names = [name for name in model_files(manifest) if format_of(name).tap]
    classifiers = {name: load_classifier(folder / name) for name in names}  # verifies the checksums first
    reference = KerasTap(deployable)
    count = min(layer_images, len(images))
    chosen = images.pixels[[index * len(images) // count for index in range(count)]]
    drifts = measure(reference, {name: _tap(folder / name) for name in names}, chosen)
    expected = deployable.probabilities(images.pixels)
    answers = {name: predict_in_batches(one.predict, images.pixels) for name, one in classifiers.items()}
    rows = {
        name: FileDrift(
            sha256=manifest.sha256_of(name),
            precision=classifier.spec.precision,
            **_layers(drifts[name], reference.layers, _threshold(name, threshold_db)),
            flips=flips(expected, answers[name], images)
            if thresholds is None
            else label_flips(expected, answers[name], images, thresholds),
        )
        for name, classifier in classifiers.items()
    }
    report = DriftReport(
        images=len(images),
        images_digest=images.digest,
        layer_images=count,
        layers=tuple(
            Layer(name=layer.name, kind=layer.kind, absorbable=layer.absorbable) for layer in reference.layers
        ),
        artifacts=rows,
        pictures=pictures((flip.image for row in rows.values() for flip in row.flips[:PICTURED]), images),
    )
    report.write(folder)
    return report


def _tap(path: Path) -> Tap:
    tap = format_of(path.name).tap
    assert tap  # noqa: S101 - files without one were left out
    opened: Tap = tap(path.read_bytes())
    return opened


def _threshold(name: str, threshold_db: float | None) -> float:
    return format_of(name).precision.threshold_db if threshold_db is None else threshold_db


def _layers(found: Mapping[str, Drift], layers: Sequence[LayerOfKeras], threshold_db: float) -> dict[str, Any]:
    """Build the fields of ``FileDrift`` that describe the layers found in a file."""
    step = steepest(found, layers)
    return {
        "threshold_db": threshold_db,
        "first_past": first_past(found, layers, threshold_db),
        "steepest": None if step is None else Steepest(layer=step[0], lost_db=round(step[1], 2)),
        "layers": {
            name: LayerDistance(
                snr_db=round(one.distance.snr_db, 2), cosine=round(one.distance.cosine, 6), value=one.match.value
            )
            for name, one in found.items()
        },
    }
