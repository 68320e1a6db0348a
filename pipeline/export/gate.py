"""The gate: what quantisation may cost on the validation set, and how sure we are of what it did cost."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

COUNTABLE = 10
"""A bound of fewer images than this is widened by one standard error: it would fail on noise alone."""


@dataclass(frozen=True)
class Gate:
    """Bounds on the loss against Keras on the validation set.

    A bound of ``p`` points on ``n`` images allows ``n * p / 100`` lost images, net of those won. Where that is fewer
    than ten, one standard error of the net loss is added: the square root of the number of images on which exactly one
    of the two is right. So 0.5 points hold as they stand from 2,000 validation images on, and 3 points of a class from
    334 images of it on.

    Attributes:
        max_points: accuracy lost over all, in points.
        max_class_points: accuracy lost in any one class, in points.
        min_agreement: share (0-1) of images on which both name the same class.
        max_mean_difference: of probabilities, over all images and classes.
    """

    max_points: float = 0.5
    max_class_points: float = 3.0
    min_agreement: float = 0.97
    max_mean_difference: float = 0.02


@dataclass(frozen=True)
class Judgement:
    """How a candidate's answers compare with Keras's on the same labelled images.

    Attributes:
        accuracy: share (0-1) that it gets right.
        lost_points: accuracy lost against Keras, in points; negative if won.
        agreement: share (0-1) of images on which both name the same class.
        mean_difference: of probabilities, over all images and classes.
        only_keras_right, only_candidate_right: numbers of images; all else is a tie.
        p_value: exact McNemar test of whether these two differ by chance alone.
        worst_class: name of the class that loses most.
        worst_class_lost_points: what it loses.
        breaches: in words; empty when the gate is passed.
    """

    accuracy: float
    lost_points: float
    agreement: float
    mean_difference: float
    only_keras_right: int
    only_candidate_right: int
    p_value: float
    worst_class: str
    worst_class_lost_points: float
    breaches: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no bound is broken."""
        return not self.breaches

    def to_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return asdict(self)


def mcnemar(only_first: int, only_second: int) -> float:
    """P-value of the exact McNemar test: two classifiers on the same images, of which one alone was right on these.

    Under the null hypothesis each such image is a fair coin (McNemar, 1947).
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def allowed_loss(points: float, images: int, discordant: int) -> float:
    """How many images may be lost, net, under a bound of so many points; ``Gate`` says how.

    Args:
        points: the bound; 0 allows none.
        images: how many there are.
        discordant: on how many of them exactly one of the two is right.
    """
    allowed = points * images / 100
    return allowed + math.sqrt(discordant) if 0 < allowed < COUNTABLE else allowed


def judge(
    expected: NDArray[np.float32],
    got: NDArray[np.float32],
    labels: NDArray[np.integer],
    class_names: tuple[str, ...],
    gate: Gate = Gate(),
) -> Judgement:
    """Hold a candidate's probabilities, float32 (N, C), against Keras's."""
    keras_right, right = (answers.argmax(axis=1) == labels for answers in (expected, got))
    lost, won = keras_right & ~right, right & ~keras_right
    agreement = float(np.mean(expected.argmax(axis=1) == got.argmax(axis=1)))
    mean_difference = float(np.abs(got - expected).mean())
    breaches = [*_loss_breach("over all", lost, won, gate.max_points)]
    # "not within" rather than "beyond": a NaN is a breach too.
    if not agreement >= gate.min_agreement:
        breaches.append(f"agreement {agreement:.2%} < {gate.min_agreement:.0%}")
    if not mean_difference <= gate.max_mean_difference:
        breaches.append(f"mean difference {mean_difference:.1e} > {gate.max_mean_difference:.0e}")
    by_class = {}
    for label in np.unique(labels):
        own = labels == label
        by_class[class_names[label]] = 100 * float(lost[own].sum() - won[own].sum()) / int(own.sum())
        breaches += _loss_breach(class_names[label], lost[own], won[own], gate.max_class_points)
    worst = max(by_class, key=lambda name: by_class[name])
    return Judgement(
        accuracy=float(right.mean()),
        lost_points=100 * float(keras_right.mean() - right.mean()),
        agreement=agreement,
        mean_difference=mean_difference,
        only_keras_right=int(lost.sum()),
        only_candidate_right=int(won.sum()),
        p_value=mcnemar(int(lost.sum()), int(won.sum())),
        worst_class=worst,
        worst_class_lost_points=by_class[worst],
        breaches=tuple(breaches),
    )


def _loss_breach(where: str, lost: NDArray[np.bool_], won: NDArray[np.bool_], points: float) -> list[str]:
    net, allowed = int(lost.sum()) - int(won.sum()), allowed_loss(points, len(lost), int(lost.sum() + won.sum()))
    if net <= allowed + 1e-9:
        return []
    return [f"{where}: {100 * net / len(lost):.1f} points lost ({net} of {len(lost):,} images, {allowed:.1f} allowed)"]
