"""Compare every exported file with Keras on the same test pixels; all files are measured before any is judged."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.artifacts import sha256
from pipeline.data import cifar10, samples
from pipeline.data.dataset import Dataset, with_multi_hot
from pipeline.documents.history import read_history
from pipeline.documents.manifest import Manifest
from pipeline.documents.verify import (
    MOST_CLASSES,
    Calibration,
    Limits,
    Measured,
    Scores,
    Selective,
    Unusable,
    Verification,
)
from pipeline.errors import PipelineError
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import load_exported
from pipeline.export.load.rounding import rounding
from pipeline.export.quantize.acceptance import differs
from pipeline.export.quantize.answers import predict_in_batches
from pipeline.formats import FORMATS, FP32, Tolerance, format_of
from pipeline.metrics.calibration import reliability, reliability_entry
from pipeline.metrics.classification import accuracy, confusion_matrix, correct
from pipeline.metrics.difference import max_difference, mean_difference
from pipeline.metrics.multi_label import cross_fitted_thresholds
from pipeline.metrics.selective import risk_coverage, risk_coverage_entry
from pipeline.system.quiet import load_classifier
from pipeline.verify.mistakes import mistakes
from pipeline.verify.parity.caveats import caveats, of_choice, of_known_images
from pipeline.verify.parity.classes import ClassParity
from pipeline.verify.parity.labels import LabelParity, label_scores
from pipeline.verify.parity.tables import format_report
from runtime import Classifier, EdgecnnError
from runtime.system.writing import check_writable
from runtime.text import first_of

__all__ = ["caveats", "format_report", "model_files", "test_images", "verify"]

ROUNDINGS = 8
"""An fp32 file may differ from Keras by this multiple of Keras's own rounding error."""
ROUNDED_IMAGES = 32
"""Number of images on which Keras's rounding error is measured; on half of them the file differs most."""


def test_images(class_names: tuple[str, ...]) -> Dataset:
    """Return all 10,000 test images of CIFAR-10 if they are cached, else the 1,000 shipped with the reference.

    Raises:
        PipelineError: ``class_names`` are not CIFAR-10's.
    """
    if class_names != cifar10.CLASS_NAMES:
        raise PipelineError(
            f"no test images for the classes {first_of(class_names)}: give photos of its classes with --data DIR, or "
            "photos without labels with --photos PATH"
        )
    return samples.test_images()


def verify(
    folder: Path,
    test: Dataset | None = None,
    part: str = "test",
    deployable: Deployable | None = None,
    wrong_input: str = "",
) -> Verification:
    """Compare all model files in ``folder`` with its Keras model and write ``verify.json``.

    If the images are labeled with one class each, also writes ``mistakes.json``.

    Args:
        folder: that export wrote.
        test: images of its classes; CIFAR-10's test images if ``None``.
        part: which part of the data the images are: test, validation or unlabeled.
        deployable: the classifier that the folder was exported from, if it is loaded already.
        wrong_input: how the model should be fed instead, if a check of the images has shown that; see ``Verification``.

    Returns:
        The document that is written; ``passed`` is true if no model file has a violation and the input is not wrong.

    Raises:
        PipelineError: the folder has no readable manifest, or the model has not CIFAR-10's classes and no test images
            are given.
    """
    manifest = Manifest.read(folder)
    check_writable(folder / artifacts.VERIFY)
    test = test or test_images(manifest.class_names)
    deployable = deployable or load_exported(folder)
    test = test if manifest.thresholds is None else with_multi_hot(test)
    expected = deployable.probabilities(test.pixels)
    chosen_on = test.digest == manifest.validation.digest
    cross_fitted = (
        cross_fitted_thresholds(expected, test.multi_hot) if chosen_on and test.multi_hot is not None else None
    )
    reference = _Reference(deployable, test, expected, manifest.thresholds, cross_fitted)
    rows = {name: _examine(folder, name, manifest, reference) for name in model_files(manifest)}
    keras, history = reference.scores(expected), read_history(folder / artifacts.MODEL_KERAS)
    trained_here = history is not None and history.records_preprocessing
    report = Verification(
        images=len(test),
        part=part,
        class_names=test.class_names,
        test_digest=test.digest,
        keras=keras,
        artifacts=rows,
        passed=not wrong_input and not any(row.violations for row in rows.values()),
        wrong_input=wrong_input,
        input_contract=manifest.contract.stated_by_export if manifest.contract else "",
        caveats=(
            *caveats(len(test), len(test.class_names), keras, rows.values()),
            *(of_choice(manifest) if chosen_on else ()),
            *of_known_images(keras, trained_here=trained_here, part=part, chosen_on=chosen_on),
        ),
        thresholds=manifest.thresholds,
    )
    report.write(folder)
    if test.labeled:
        mistakes(deployable, test, expected, manifest.sha256_of(artifacts.MODEL_KERAS)).write(folder)
    return report


def model_files(manifest: Manifest) -> list[str]:
    """Return the model files that a manifest lists, in the order of ``FORMATS``.

    Raises:
        PipelineError: it lists none.
    """
    names = [row.file for row in FORMATS if row.file in manifest.files]
    if not names:
        raise PipelineError(f"the {artifacts.MANIFEST} lists no model files; run python -m pipeline export first")
    return names


@dataclass(frozen=True)
class _Reference:
    """The Keras model, the test images, its probabilities, float32 (N, C), and a multi-label model's thresholds.

    ``cross_fitted``, float64 (N, C), replaces the thresholds in F1 if these were chosen on the test images.
    """

    deployable: Deployable
    test: Dataset
    expected: NDArray[np.float32]
    thresholds: tuple[float, ...] | None
    cross_fitted: NDArray[np.float64] | None = None

    def scores(self, got: NDArray[np.float32]) -> Scores:
        """Score probabilities, float32 (N, C), against the labels of the test images."""
        if self.thresholds is None:
            return _scores(got, self.test)
        multi_hot = self.test.multi_hot
        if multi_hot is None:
            return Scores(accuracy=None, confusion=(), calibration=None)
        thresholds = self.thresholds if self.cross_fitted is None else self.cross_fitted
        return Scores(accuracy=None, confusion=(), calibration=None, labels=label_scores(got, multi_hot, thresholds))

    def parity(self, got: NDArray[np.float32]) -> ClassParity | LabelParity:
        """Compare a file's probabilities, float32 (N, C), with Keras's."""
        if self.thresholds is None:
            return ClassParity(self.expected, got, self.test)
        return LabelParity(self.expected, got, self.test, self.thresholds)

    def limit(self, tolerance: Tolerance, got: NDArray[np.float32]) -> Tolerance:
        """Return the tolerance for a file that gives ``got``, float32 (N, C).

        If an fp32 file exceeds its tolerance, this is raised to ``ROUNDINGS`` times Keras's own rounding error.
        """
        if tolerance is not FP32.tolerance or not np.isfinite(got).all():
            return tolerance
        differences = np.abs(self.expected - got).max(axis=1)
        if differences.max() <= tolerance.max_difference:
            return tolerance
        worst = np.argsort(-differences, kind="stable")[: ROUNDED_IMAGES // 2]
        others = np.arange(ROUNDED_IMAGES // 2) * len(got) // (ROUNDED_IMAGES // 2)
        measured = rounding(self.deployable, self.test.pixels[np.union1d(worst, others)])
        return replace(tolerance, max_difference=max(tolerance.max_difference, ROUNDINGS * measured))


def _scores(probabilities: NDArray[np.float32], test: Dataset) -> Scores:
    if not test.labeled:
        return Scores(accuracy=None, confusion=(), calibration=None)
    predicted = probabilities.argmax(axis=1)
    finite = bool(np.isfinite(probabilities).all())
    few = len(test.class_names) <= MOST_CLASSES
    confusion = confusion_matrix(predicted, test.labels, len(test.class_names)).tolist() if few else []
    return Scores(
        accuracy=accuracy(probabilities, test.labels),
        confusion=tuple(map(tuple, confusion)),
        calibration=Calibration(**reliability_entry(reliability(probabilities, test.labels))) if finite else None,
        selective=_selective(probabilities, test) if finite else None,
    )


def _selective(probabilities: NDArray[np.float32], test: Dataset) -> Selective:
    curve = risk_coverage(np.clip(probabilities.max(axis=1), 0, 1), correct(probabilities, test.labels))
    return Selective(**risk_coverage_entry(curve))


def _golden_violations(classifier: Classifier) -> list[str]:
    golden = classifier.golden()
    if golden is None:
        return []
    change = max_difference(classifier.predict(golden.pixels), golden.probabilities)
    if change <= golden.tolerance:
        return []
    return [f"its golden set gives other probabilities than when built: {change:.1e} > {golden.tolerance}"]


def _examine(folder: Path, name: str, manifest: Manifest, reference: _Reference) -> Measured | Unusable:
    violations, test, expected = [], reference.test, reference.expected
    try:
        content = (folder / name).read_bytes()
        if sha256(content) != manifest.sha256_of(name):
            violations.append("changed since export: its SHA-256 is not that in the manifest")
        classifier = load_classifier(folder / name)
        if classifier.spec.class_names != manifest.class_names:
            violations.append("its class names are not those in the manifest")
        violations += _golden_violations(classifier)
        got = predict_in_batches(classifier.predict, test.pixels)
        if got.shape != expected.shape:
            shapes = f"gives probabilities of shape {got.shape}, Keras {expected.shape}"
            return Unusable(violations=(*violations, shapes))
    except (EdgecnnError, OSError) as error:
        return Unusable(violations=(*violations, str(error)))
    scores, limit = reference.scores(got), reference.limit(format_of(name).precision.tolerance, got)
    parity = reference.parity(got)
    return Measured(
        **dict(scores),
        **parity.figures,
        bytes=len(content),
        sha256=sha256(content),
        max_difference=max_difference(expected, got),
        mean_difference=mean_difference(expected, got),
        limits=Limits(**asdict(limit)),
        violations=(*violations, *_distances(expected, got, limit), *parity.violations(limit)),
    )


def _distances(expected: NDArray[np.float32], got: NDArray[np.float32], limit: Tolerance) -> list[str]:
    """List the limits on probability differences that a file violates, as texts."""
    largest, mean = max_difference(expected, got), mean_difference(expected, got)
    violations = []
    # "not <=" rather than ">", so that NaN is a violation.
    if not largest <= limit.max_difference:
        violations.append(f"max difference {largest:.2e} > {limit.max_difference:.1e}")
    if differs(expected, got, limit.mean_difference):
        violations.append(f"mean difference {mean:.2e} > {limit.mean_difference:.0e}")
    return violations
