"""The acceptance criteria for a multi-label model, for each label and for all labels together.

Each label of an image is a decision. Macro F1 replaces overall accuracy, the share of right decisions of a label
replaces accuracy in a class, and the bound on agreement applies to each label. As in ``acceptance``, a bound is
violated only if the loss is significant at the 5 % level; for macro F1, paired resamples of the images test this.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.export.quantize.acceptance import (
    SIGNIFICANCE,
    AcceptanceCriteria,
    Judgment,
    breaks_bound,
    differs,
)
from pipeline.metrics.classification import discordant
from pipeline.metrics.difference import mean_difference
from pipeline.metrics.multi_label import (
    MultiHot,
    bootstrap_p_value,
    decisions,
    f1_scores,
    label_agreement,
    macro_f1,
)
from pipeline.metrics.significance import binomial_greater

Probabilities = NDArray[np.float32]


def disagreeing(expected: MultiHot, got: MultiHot, min_agreement: float) -> NDArray[np.int64]:
    """Return the indices of the labels whose decisions agree on significantly less than a share (0-1) of the images.

    ``expected`` and ``got`` are decisions, bool (N, C).
    """
    changed = (expected != got).sum(axis=0)
    count = len(expected)
    broken = [
        place
        for place in np.flatnonzero(changed > (1 - min_agreement) * count)
        if binomial_greater(int(changed[place]), count, 1 - min_agreement) < SIGNIFICANCE
    ]
    return np.array(broken, np.int64)


def judge_labels(  # noqa: PLR0913, PLR0917 - two sets of answers, the truth and the criteria
    expected: Probabilities,
    got: Probabilities,
    multi_hot: MultiHot | None,
    thresholds: Sequence[float],
    class_names: tuple[str, ...],
    criteria: AcceptanceCriteria,
) -> Judgment:
    """Compare a candidate's probabilities, float32 (N, C), with Keras's.

    Args:
        expected: Keras's probabilities.
        got: the candidate's probabilities.
        multi_hot: which labels each image has, bool (N, C); ``None`` if unknown.
        thresholds: probability (0-1) at which an image gets each label, one per label.
        class_names: names of the labels.
        criteria: the bounds.

    Returns:
        A judgment whose ``accuracy`` is macro F1, or without labels the mean agreement of the labels. ``lost_points``
        and ``p_value`` are about the loss of macro F1, ``worst_class_lost_points`` about the F1 of one label.
    """
    before, after = decisions(expected, thresholds), decisions(got, thresholds)
    agreeing = label_agreement(before, after)
    violations = [
        f"{class_names[place]}: agreement {agreeing[place]:.2%} < {criteria.min_agreement:.0%}"
        for place in disagreeing(before, after, criteria.min_agreement)
    ]
    distance = mean_difference(expected, got)
    if differs(expected, got, criteria.max_mean_difference):
        violations.append(f"mean difference {distance:.1e} > {criteria.max_mean_difference:.0e}")
    whole = Judgment(
        accuracy=float(agreeing.mean()),
        lost_points=None,
        agreement=float(agreeing.mean()),
        mean_difference=distance,
        violations=tuple(violations),
    )
    return whole if multi_hot is None else _judge_with_labels(whole, before, after, multi_hot, class_names, criteria)


def _judge_with_labels(  # noqa: PLR0913, PLR0917 - two sets of decisions, the truth and the criteria
    whole: Judgment,
    before: MultiHot,
    after: MultiHot,
    multi_hot: MultiHot,
    class_names: tuple[str, ...],
    criteria: AcceptanceCriteria,
) -> Judgment:
    violations = []
    keras, own = macro_f1(before, multi_hot), macro_f1(after, multi_hot)
    chance = bootstrap_p_value(before, after, multi_hot)
    if loses(100 * (keras - own), criteria.max_points, chance):
        violations.append(f"macro F1: {100 * (keras - own):.1f} points lost, {criteria.max_points:g} allowed")
    for place, name in enumerate(class_names):
        only_keras, only_candidate = discordant(
            before[:, place] == multi_hot[:, place], after[:, place] == multi_hot[:, place]
        )
        if breaks_bound(criteria.max_class_points, len(multi_hot), only_keras, only_candidate):
            points = 100 * (only_keras - only_candidate) / len(multi_hot)
            violations.append(
                f"{name}: {points:.1f} points of its decisions lost, {criteria.max_class_points:g} allowed"
            )
    by_label = np.nan_to_num(100 * (f1_scores(before, multi_hot) - f1_scores(after, multi_hot)))
    worst = int(by_label.argmax())
    only_keras, only_candidate = discordant((before == multi_hot).all(axis=1), (after == multi_hot).all(axis=1))
    return replace(
        whole,
        accuracy=own,
        lost_points=100 * (keras - own),
        only_keras_right=only_keras,
        only_candidate_right=only_candidate,
        p_value=chance,
        worst_class=class_names[worst],
        worst_class_lost_points=float(by_label[worst]),
        violations=(*violations, *whole.violations),
    )


def loses(points: float, allowed: float, chance: float) -> bool:
    """Return whether macro F1 loses more percentage points than allowed, with a p-value ``chance`` below 5 %."""
    return points > allowed and chance < SIGNIFICANCE
