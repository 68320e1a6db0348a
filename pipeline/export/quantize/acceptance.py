"""The acceptance criteria: the largest loss that quantization may cause on the validation set, and how it is tested."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.classification import Answers, agreement, correct, same_class
from pipeline.metrics.difference import mean_difference
from pipeline.metrics.significance import binomial_greater, mcnemar, mcnemar_one_sided, mean_greater
from runtime.text import plural

SIGNIFICANCE = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True)
class AcceptanceCriteria:
    """Bounds on the loss of an int8 file against Keras on the validation set.

    A bound is violated only if the loss is larger than the bound and a one-sided test at the 5 % level says that this
    is not due to the choice of images:

    - Accuracy: the file gets more than ``n * p / 100`` of ``n`` images wrong that Keras gets right, net of the
      opposite cases, where ``p`` points is the bound, and the p-value of the one-sided McNemar test is below 5 %.
    - Agreement: it is below the bound, and the p-value of the exact binomial test is below 5 %. One other class in 30
      images gives 96.67 %, which is not significant.
    - Mean difference: it is above the bound, and the p-value of Student's t-test over the images is below 5 %.

    On thousands of images nearly every difference is significant, so that the bounds alone decide.

    Attributes:
        max_points: largest loss of overall accuracy, in percentage points.
        max_class_points: largest loss of accuracy in any class, in percentage points.
        min_agreement: smallest share (0-1) of images to which both assign the same class.
        max_mean_difference: largest mean absolute difference of probabilities, over all images and classes.
    """

    max_points: float = 0.5
    max_class_points: float = 3.0
    min_agreement: float = 0.97
    max_mean_difference: float = 0.02


@dataclass(frozen=True)
class Judgment:
    """Comparison of a candidate's answers with Keras's on the same images.

    Attributes:
        accuracy: share (0-1) of images that the candidate classifies correctly; without labels, the agreement.
        lost_points: Keras's accuracy minus the candidate's, in percentage points; ``None`` without labels.
        agreement: share (0-1) of images to which both assign the same class.
        mean_difference: mean absolute difference of probabilities, over all images and classes.
        only_keras_right, only_candidate_right: numbers of images that only one of the two classifies correctly.
        p_value: of the exact two-sided McNemar test on these two numbers.
        worst_class: name of the class with the largest loss of accuracy; empty without labels.
        worst_class_lost_points: this loss, in percentage points.
        violations: the violated bounds in words; empty if the criteria are passed.
    """

    accuracy: float
    lost_points: float | None
    agreement: float
    mean_difference: float
    only_keras_right: int = 0
    only_candidate_right: int = 0
    p_value: float = 1.0
    worst_class: str = ""
    worst_class_lost_points: float = 0.0
    violations: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no bound is violated."""
        return not self.violations


def breaks_bound(points: float, images: int, lost: int, won: int) -> bool:
    """Return whether a loss of accuracy is larger than its bound and significant; see ``AcceptanceCriteria``.

    Args:
        points: the bound, in percentage points.
        images: number of images.
        lost: number of images that only Keras classifies correctly.
        won: number of images that only the candidate classifies correctly.
    """
    if lost - won <= points * images / 100 + ROUNDING:
        return False
    return mcnemar_one_sided(lost, won) < SIGNIFICANCE


def disagrees(expected: Answers, got: Answers, min_agreement: float) -> bool:
    """Return whether the top-1 agreement of two sets of answers, (N, C), is significantly below a share (0-1)."""
    same = same_class(expected, got)
    flipped = int((~same).sum())
    if same.mean() >= min_agreement:
        return False
    return binomial_greater(flipped, len(same), 1 - min_agreement) < SIGNIFICANCE


def differs(expected: Answers, got: Answers, max_mean_difference: float) -> bool:
    """Return whether the mean absolute difference of two sets of answers, (N, C), is significantly above a bound.

    Also true if an answer is not a finite number.
    """
    by_image = np.abs(got - expected).mean(axis=1, dtype=np.float64)
    if not np.isfinite(by_image).all():
        return True
    return bool(by_image.mean() > max_mean_difference) and mean_greater(by_image, max_mean_difference) < SIGNIFICANCE


def judge_agreement(
    expected: NDArray[np.float32], got: NDArray[np.float32], criteria: AcceptanceCriteria = AcceptanceCriteria()
) -> Judgment:
    """Compare a candidate's probabilities ``got``, float32 (N, C), with Keras's on images without labels."""
    return Judgment(
        accuracy=agreement(expected, got),
        lost_points=None,
        agreement=agreement(expected, got),
        mean_difference=mean_difference(expected, got),
        violations=tuple(_distance_violations(expected, got, criteria)),
    )


def judge(
    expected: NDArray[np.float32],
    got: NDArray[np.float32],
    labels: NDArray[np.integer],
    class_names: tuple[str, ...],
    criteria: AcceptanceCriteria = AcceptanceCriteria(),
) -> Judgment:
    """Compare a candidate's probabilities ``got``, float32 (N, C), with Keras's on images with labels, (N,)."""
    keras_correct, got_correct = (correct(answers, labels) for answers in (expected, got))
    lost, won = keras_correct & ~got_correct, got_correct & ~keras_correct
    violations = [*_loss_violation("over all", lost, won, criteria.max_points)]
    violations += _distance_violations(expected, got, criteria)
    by_class = {}
    for label in np.unique(labels):
        own = labels == label
        by_class[label] = 100 * float(lost[own].sum() - won[own].sum()) / int(own.sum())
        violations += _loss_violation(class_names[label], lost[own], won[own], criteria.max_class_points)
    worst = max(by_class, key=lambda label: by_class[label])
    return Judgment(
        accuracy=float(got_correct.mean()),
        lost_points=100 * float(keras_correct.mean() - got_correct.mean()),
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
    share = 100 * net / len(lost)
    return [f"{where}: {share:.1f} points lost ({net} of {plural(len(lost), 'image')}, {allowed:.1f} allowed)"]
