"""Whether a probability of 0.9 means nine in ten, and the one number that mends it (Guo et al., 2017)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from pipeline.data.dataset import Dataset
from pipeline.export.load.deployable import CHUNK, PREDICT_BATCH, Deployable

BINS = 15
HOTTEST, COLDEST = 20.0, 0.05

Floats = NDArray[np.floating[Any]]


def logits_of(deployable: Deployable, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a model says before its softmax, untempered: uint8 (N, S, S, 3) to float32 (N, C)."""
    parts = [
        deployable.network.predict(
            deployable.network_scaling(pixels[start : start + CHUNK]), batch_size=PREDICT_BATCH, verbose=0
        )
        for start in range(0, len(pixels), CHUNK)
    ]
    return np.concatenate(parts) * np.float32(deployable.temperature)


FEWEST_IMAGES, FEWEST_ERRORS = 200, 10


def temperature_of(deployable: Deployable, validation: Dataset) -> float:
    """The temperature that validation images ask for; see ``fit_temperature``.

    1, so none at all, below ``FEWEST_IMAGES`` images or ``FEWEST_ERRORS`` errors among them: a few lucky images would
    make the classifier sure of everything.
    """
    logits = logits_of(deployable, validation.pixels)
    errors = int(np.sum(logits.argmax(axis=1) != validation.labels))
    if len(validation) < FEWEST_IMAGES or errors < FEWEST_ERRORS:
        return 1.0
    return fit_temperature(logits, validation.labels)


def fit_temperature(logits: Floats, labels: NDArray[np.integer]) -> float:
    """The temperature whose softmax makes the labels most likely.

    Args:
        logits: float (N, C) of validation images; log-probabilities do as well, a softmax takes no notice of the
            difference.
        labels: integers (N,).

    Returns:
        What to divide logits by, 0.05 to 20. Above 1 the classifier was too sure of itself.
    """
    wide = logits.astype(np.float64)
    # The likelihood has one maximum in the temperature: it is concave in its inverse.
    found = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(wide, labels, float(np.exp(log_temperature))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def negative_log_likelihood(logits: Floats, labels: NDArray[np.integer], temperature: float = 1.0) -> float:
    """Mean surprise of the labels in nats."""
    tempered = logits.astype(np.float64) / temperature
    tempered -= tempered.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(tempered).sum(axis=1)) - tempered[np.arange(len(labels)), labels]))


@dataclass(frozen=True)
class Reliability:
    """Predictions sorted into equal bins of confidence (the winner's probability).

    Attributes:
        counts: predictions in each bin.
        confidence: their mean confidence, 0-1; 0 in an empty bin.
        accuracy: share of them that are right, 0-1; 0 in an empty bin.
    """

    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy over all predictions, 0-1."""
        gaps = np.abs(np.array(self.confidence) - np.array(self.accuracy))
        return float(np.average(gaps, weights=self.counts))


def reliability(probabilities: Floats, labels: NDArray[np.integer], bins: int = BINS) -> Reliability:
    """Hold confidence against accuracy.

    Args:
        probabilities: float (N, C).
        labels: integers (N,).
        bins: of equal width; bin i holds confidences in (i / bins, (i + 1) / bins].
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    divisor = np.maximum(counts, 1)
    return Reliability(
        tuple(counts.tolist()),
        tuple((np.bincount(bin_of, confidence, bins) / divisor).tolist()),
        tuple((np.bincount(bin_of, right, bins) / divisor).tolist()),
    )
