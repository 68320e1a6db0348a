"""Calibration: whether answers with probability 0.9 are right nine times in ten, and temperature scaling.

Source: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", 2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.metrics.classification import Answers, Labels, correct

BINS = 15
HOTTEST, COLDEST = 20.0, 0.05
FEWEST_IMAGES, FEWEST_ERRORS = 200, 10
"""On fewer validation images, or with fewer errors among them, no temperature is fitted: with hardly any errors, the
fitted temperature would be far too low."""


def softmax(logits: Answers) -> NDArray[np.float32]:
    """Compute the softmax of each row, in double precision: float (…, C) to float32 (…, C)."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(axis=-1, keepdims=True))
    result: NDArray[np.float32] = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    return result


def sigmoid(logits: Answers) -> NDArray[np.float32]:
    """Compute the sigmoid of each logit, in double precision: float (…, C) to float32 (…, C)."""
    result: NDArray[np.float32] = expit(logits.astype(np.float64)).astype(np.float32)
    return result


def temperature_of(logits: Answers, labels: Labels) -> float:
    """Fit the temperature of a classifier on the logits of validation images; see ``fit_temperature``.

    Returns:
        The temperature; 1 (no scaling) with fewer than ``FEWEST_IMAGES`` images or ``FEWEST_ERRORS`` errors.
    """
    errors = int((~correct(logits, labels)).sum())
    if len(labels) < FEWEST_IMAGES or errors < FEWEST_ERRORS:
        return 1.0
    return fit_temperature(logits, labels)


def fit_temperature(logits: Answers, labels: Labels) -> float:
    """Find the temperature with the smallest negative log-likelihood of the labels.

    Args:
        logits: float (N, C); log-probabilities work as well, because softmax ignores a constant per row.
        labels: integers (N,).

    Returns:
        The divisor of the logits, 0.05 to 20. Above 1 the classifier was overconfident.
    """
    from scipy.optimize import minimize_scalar  # takes a second to import, and is seldom needed

    wide = logits.astype(np.float64)
    # The likelihood is concave in the inverse of the temperature, so it has one maximum.
    found = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(wide, labels, float(np.exp(log_temperature))),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def negative_log_likelihood(logits: Answers, labels: Labels, temperature: float = 1.0) -> float:
    """Compute the mean negative log-likelihood of the labels in nats.

    Args:
        logits: float (N, C).
        labels: integers (N,).
        temperature: divides the logits.
    """
    tempered = logits.astype(np.float64) / temperature
    tempered -= tempered.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(tempered).sum(axis=1)) - tempered[np.arange(len(labels)), labels]))


@dataclass(frozen=True)
class Reliability:
    """Answers in bins of equal width by confidence, which is the probability of the predicted class.

    Attributes:
        counts: number of answers in each bin.
        confidence: mean confidence of each bin, 0-1; 0 in an empty bin.
        accuracy: share of correct answers in each bin, 0-1; 0 in an empty bin.
    """

    counts: tuple[int, ...]
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean distance between confidence and accuracy over all answers, 0-1.

        Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
        binning", 2015.
        """
        gaps = np.abs(np.array(self.confidence) - np.array(self.accuracy))
        return float(np.average(gaps, weights=self.counts))


def reliability(probabilities: Answers, labels: Labels, bins: int = BINS) -> Reliability:
    """Compare confidence with accuracy in bins.

    Args:
        probabilities: float (N, C).
        labels: integers (N,).
        bins: number of bins of equal width; bin i holds confidences in (i / bins, (i + 1) / bins].
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_correct = correct(probabilities, labels)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    divisor = np.maximum(counts, 1)
    return Reliability(
        tuple(counts.tolist()),
        tuple((np.bincount(bin_of, confidence, bins) / divisor).tolist()),
        tuple((np.bincount(bin_of, is_correct, bins) / divisor).tolist()),
    )


def reliability_entry(judged: Reliability) -> dict[str, Any]:
    """Return the bins and the expected calibration error (0-1), for JSON."""
    return {
        "expected_error": judged.expected_error,
        "counts": judged.counts,
        "confidence": judged.confidence,
        "accuracy": judged.accuracy,
    }
