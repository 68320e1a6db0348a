"""The acceptance criteria: the accuracy that quantization may cost on the validation set, and its tests."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.classification import Answers, agreement, correct, same_class
from pipeline.metrics.difference import mean_difference
from pipeline.metrics.significance import binomial_greater, mcnemar, mcnemar_one_sided, mean_greater

SIGNIFICANCE = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True)
class AcceptanceCriteria:
    """Bounds on the loss against Keras on the validation set.

    Each bound counts only where the images at hand break it by more than chance may, at 5 %:

    - A loss of accuracy breaks its bound of ``p`` points on ``n`` images where more than ``n * p / 100`` images are
      lost, net of those won, and McNemar's test (one-sided: a fair coin for each image on which exactly one of the two
      is right) leaves less than 5 % for chance.
    - Agreement breaks its bound where the exact binomial test does: so many other classes on ``n`` images would be seen
      in less than 5 % of all draws if the bound were the truth. One of 30 images is 96.67 %, and no evidence.
    - The mean difference breaks its bound where Student's one-sided t-test over the images does.

    On thousands of images chance explains next to nothing, and the bounds alone decide.

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
class Judgment:
    """How a candidate's answers compare with Keras's on the same labeled images.

    Attributes:
        accuracy: share (0-1) that it gets right; without labels, on which it names the class that Keras names.
        lost_points: accuracy lost against Keras, in points; negative if won; ``None`` without labels.
        agreement: share (0-1) of images on which both name the same class.
        mean_difference: of probabilities, over all images and classes.
        only_keras_right, only_candidate_right: numbers of images; all else is a tie.
        p_value: exact McNemar test of whether these two differ by chance alone.
        worst_class: name of the class that loses most.
        worst_class_lost_points: what it loses.
        violations: in words; empty when the criteria are passed.
    """

    accuracy: float
    lost_points: float | None
    agreement: float
    mean_difference: float
    only_keras_right: int
    only_candidate_right: int
    p_value: float
    worst_class: str
    worst_class_lost_points: float
    violations: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether no bound is broken."""
        return not self.violations


def breaks_bound(points: float, images: int, lost: int, won: int) -> bool:
    """Whether a loss is larger than a bound in points and larger than chance makes it, as ``AcceptanceCriteria`` says.

    Args:
        points: the bound.
        images: how many there are.
        lost: on how many of them the first alone is right.
        won: on how many of them the second alone is right.
    """
    if lost - won <= points * images / 100 + ROUNDING:
        return False
    return mcnemar_one_sided(lost, won) < SIGNIFICANCE


def disagrees(expected: Answers, got: Answers, min_agreement: float) -> bool:
    """Whether top-1 agreement of answers (N, C) is lower than a share (0-1), and lower than chance makes it."""
    same = same_class(expected, got)
    flipped = int((~same).sum())
    if same.mean() >= min_agreement:
        return False
    return binomial_greater(flipped, len(same), 1 - min_agreement) < SIGNIFICANCE


def differs(expected: Answers, got: Answers, max_mean_difference: float) -> bool:
    """Whether the mean difference of answers (N, C) is larger than a bound, and larger than chance makes it.

    Answers that are no numbers are too different.
    """
    by_image = np.abs(got - expected).mean(axis=1, dtype=np.float64)
    if not np.isfinite(by_image).all():
        return True
    return bool(by_image.mean() > max_mean_difference) and mean_greater(by_image, max_mean_difference) < SIGNIFICANCE


def judge_agreement(
    expected: NDArray[np.float32], got: NDArray[np.float32], criteria: AcceptanceCriteria = AcceptanceCriteria()
) -> Judgment:
    """Hold a candidate's probabilities, float32 (N, C), against Keras's on images without labels."""
    return Judgment(
        accuracy=agreement(expected, got),
        lost_points=None,
        agreement=agreement(expected, got),
        mean_difference=mean_difference(expected, got),
        only_keras_right=0,
        only_candidate_right=0,
        p_value=1.0,
        worst_class="",
        worst_class_lost_points=0.0,
        violations=tuple(_distance_violations(expected, got, criteria)),
    )


def judge(
    expected: NDArray[np.float32],
    got: NDArray[np.float32],
    labels: NDArray[np.integer],
    class_names: tuple[str, ...],
    criteria: AcceptanceCriteria = AcceptanceCriteria(),
) -> Judgment:
    """Hold a candidate's probabilities, float32 (N, C), against Keras's."""
    keras_right, right = (correct(answers, labels) for answers in (expected, got))
    lost, won = keras_right & ~right, right & ~keras_right
    violations = [*_loss_violation("over all", lost, won, criteria.max_points)]
    violations += _distance_violations(expected, got, criteria)
    by_class = {}
    for label in np.unique(labels):
        own = labels == label
        by_class[label] = 100 * float(lost[own].sum() - won[own].sum()) / int(own.sum())
        violations += _loss_violation(class_names[label], lost[own], won[own], criteria.max_class_points)
    worst = max(by_class, key=lambda label: by_class[label])
    return Judgment(
        accuracy=float(right.mean()),
        lost_points=100 * float(keras_right.mean() - right.mean()),
        agreement=agreement(expected, got),
        mean_difference=mean_difference(expected, got),
        only_keras_right=int(lost.sum()),
        only_candidate_right=int(won.sum()),
        p_value=mcnemar(int(lost.sum()), int(won.sum())),
        worst_class=class_names[worst],
        worst_class_lost_points=by_class[worst],
        violations=tuple(violations),
    )


def _distance_violations(expected: Answers, got: Answers, criteria: AcceptanceCriteria) -> list[str]:
    violations = []
    if disagrees(expected, got, criteria.min_agreement):
        violations.append(f"agreement {agreement(expected, got):.2%} < {criteria.min_agreement:.0%}")
    if differs(expected, got, criteria.max_mean_difference):
        distance = mean_difference(expected, got)
        violations.append(f"mean difference {distance:.1e} > {criteria.max_mean_difference:.0e}")
    return violations


def _loss_violation(where: str, lost: NDArray[np.bool_], won: NDArray[np.bool_], points: float) -> list[str]:
    only_keras, only_candidate = int(lost.sum()), int(won.sum())
    if not breaks_bound(points, len(lost), only_keras, only_candidate):
        return []
    net, allowed = only_keras - only_candidate, points * len(lost) / 100
    return [f"{where}: {100 * net / len(lost):.1f} points lost ({net} of {len(lost):,} images, {allowed:.1f} allowed)"]
