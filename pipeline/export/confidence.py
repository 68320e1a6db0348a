"""The confidence threshold of a file: the lowest that makes a wanted share of the answers above it right.

It is chosen on validation images. Where they have fitted the network's temperature as well, the confidence of each is
taken with a temperature that was fitted without it: the images are divided in two by a hash of their pixels, and each
half gets the temperature of the other.
"""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.errors import ExportError
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.calibration import fit_temperature, softmax
from pipeline.metrics.classification import Answers, correct
from pipeline.metrics.selective import lowest_threshold
from runtime.spec import ModelSpec

SMALLEST = 1e-12
"""A probability of 0 has no logarithm."""


def logits_of(probabilities: Answers) -> NDArray[np.float64]:
    """Logits up to a constant in each row, which softmax ignores."""
    logits: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    return logits


def refitted(probabilities: Answers, images: Dataset) -> NDArray[np.float64]:
    """For each image by how much its logits are to be divided more, so that its temperature was fitted without it.

    Args:
        probabilities: the Keras model's, with its temperature.
        images: labeled; they fitted that temperature.

    Returns:
        float64 (N,); 1 for every image where all lie in one half.
    """
    first = np.array([hashlib.sha256(image.tobytes()).digest()[0] % 2 == 0 for image in images.pixels])
    result = np.ones(len(images))
    if first.all() or not first.any():
        return result
    logits = logits_of(probabilities)
    for half in (first, ~first):
        result[half] = fit_temperature(logits[~half], images.labels[~half])
    return result


def divisors(network: Deployable, probabilities: Answers, images: Dataset, *, fitted: bool) -> NDArray[np.float64]:
    """What ``with_confidence`` divides by: 1 unless these images ``fitted`` the network's temperature."""
    if not fitted or network.temperature == 1:
        return np.ones(len(images))
    return refitted(probabilities, images)


def with_confidence(
    spec: ModelSpec, probabilities: Answers, images: Dataset, divided: NDArray[np.float64], precision: float
) -> ModelSpec:
    """The spec with the lowest threshold that makes the share ``precision`` of the answers above it right.

    Args:
        spec: of the file.
        probabilities: what it answers, (N, C).
        images: labeled, none of which trained.
        divided: see ``divisors``.
        precision: share (0-1) that is wanted.

    Raises:
        ExportError: no threshold does, or the images have no labels.
    """
    if spec.output == "sigmoid":
        raise ExportError("--precision is for models that name one class, and this one judges each label: leave it out")
    if not images.labeled:
        raise ExportError("--precision counts right answers on labeled photos: give some with --data, or leave it out")
    confidence = softmax(logits_of(probabilities) / divided[:, np.newaxis]).max(axis=1)
    found, best = lowest_threshold(confidence, correct(probabilities, images.labels), precision)
    if found is None:
        raise ExportError(
            f"no confidence threshold makes {precision:.4g} of the answers right: of {len(images):,} validation images "
            f"the surest {best.kept:,} promise {best.precision:.3f} with 95 % confidence; ask for less, "
            "or give more validation photos"
        )
    return replace(
        spec,
        confidence_threshold=min(found.value, 1.0),
        confidence_precision=precision,
        confidence_kept=found.kept / len(images),
        confidence_images=len(images),
    )
