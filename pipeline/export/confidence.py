"""The confidence threshold of a file: the lowest above which the requested share of the answers is right.

It is chosen on the validation images. If the network's temperature was fitted on the same images, each image's
confidence is computed with a temperature that was fitted without it: a hash of the pixels divides the images into two
halves, and each half gets the temperature that was fitted on the other.
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
from runtime.text import plural

SMALLEST = 1e-12
"""Probabilities are raised to this before their logarithm is taken."""


def logits_of(probabilities: Answers) -> NDArray[np.float64]:
    """Return the logits up to a constant in each row, which softmax ignores."""
    logits: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    return logits


def refitted(probabilities: Answers, images: Dataset) -> NDArray[np.float64]:
    """Return, per image, the divisor of its tempered logits that makes up for a temperature fitted on the image itself.

    Args:
        probabilities: the Keras model's tempered probabilities, (N, C).
        images: the labeled images on which that temperature was fitted.

    Returns:
        float64 (N,); 1 for every image if all images fall into the same half.
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
    """Return the ``divided`` argument of ``with_confidence``, float64 (N,): 1 for all images unless ``fitted``.

    ``fitted`` says whether the network's temperature was fitted on these images.
    """
    if not fitted or network.temperature == 1:
        return np.ones(len(images))
    return refitted(probabilities, images)


def with_confidence(
    spec: ModelSpec, probabilities: Answers, images: Dataset, divided: NDArray[np.float64], precision: float
) -> ModelSpec:
    """Return the spec with the lowest confidence threshold above which the share ``precision`` of the answers is right.

    Args:
        spec: the file's spec.
        probabilities: the file's answers to the images, (N, C).
        images: labeled images that were not trained on.
        divided: divisors of the logits, (N,), from ``divisors``.
        precision: the requested share (0-1) of right answers.

    Raises:
        ExportError: no threshold reaches the share, the images have no labels, or the model is multi-label.
    """
    if spec.output == "sigmoid":
        raise ExportError("--precision is for models that name one class, and this one judges each label: leave it out")
    if not images.labeled:
        raise ExportError("--precision counts right answers on labeled photos: give some with --data, or leave it out")
    confidence = softmax(logits_of(probabilities) / divided[:, np.newaxis]).max(axis=1)
    found, best = lowest_threshold(confidence, correct(probabilities, images.labels), precision)
    if found is None:
        raise ExportError(
            f"no confidence threshold makes {precision:.4g} of the answers right: of "
            f"{plural(len(images), 'validation image')} the surest {best.kept:,} promise {best.precision:.3f} with 95 "
            "% confidence; ask for less, or give more validation photos"
        )
    return replace(
        spec,
        confidence_threshold=min(found.value, 1.0),
        confidence_precision=precision,
        confidence_kept=found.kept / len(images),
        confidence_images=len(images),
    )
