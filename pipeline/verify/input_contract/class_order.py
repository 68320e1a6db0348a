"""Find from a confusion matrix whether the class names are in the order of the model's outputs."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.metrics.significance import mcnemar_one_sided
from runtime.text import first_of


def output_of_class(confusion: NDArray[np.int64], significance: float) -> NDArray[np.int64]:
    """Return the index of the output that means each class, int64 (C,).

    This is the class's own index unless another order is significantly better. The assignment with most correct answers
    is split into its cycles. A cycle of k classes is one of C! / (C - k)! / k possible cycles; its p-value is corrected
    for that number (Bonferroni).

    Args:
        confusion: int64 (C, C), rows the true class, columns the model's answer.
        significance: level of the test, 0-1: the chance that a right order is called wrong.
    """
    count = len(confusion)
    favor_own = confusion + 0.5 * np.eye(count)
    assigned: NDArray[np.int64] = linear_sum_assignment(favor_own, maximize=True)[1]
    order = np.arange(count)
    for cycle in _cycles(assigned):
        gained, lost = int(confusion[cycle, assigned[cycle]].sum()), int(confusion[cycle, cycle].sum())
        if _beyond_chance(gained, lost, len(cycle), count, significance):
            order[cycle] = assigned[cycle]
    return order


def output_of_label(decided: NDArray[np.bool_], multi_hot: NDArray[np.bool_], significance: float) -> NDArray[np.int64]:
    """Return the index of the output that means each label of a multi-label model, int64 (C,).

    As ``output_of_class``, but a cycle gains an image if its new order gets more of the image's labels right.

    Args:
        decided: labels that the model gives each image, bool (N, C).
        multi_hot: labels that each image has, bool (N, C).
        significance: as in ``output_of_class``.
    """
    count = multi_hot.shape[1]
    says, shows = decided.astype(np.int64), multi_hot.astype(np.int64)
    agreeing = shows.T @ says + (1 - shows).T @ (1 - says)
    assigned: NDArray[np.int64] = linear_sum_assignment(agreeing + 0.5 * np.eye(count), maximize=True)[1]
    order = np.arange(count)
    for cycle in _cycles(assigned):
        own, other = ((decided[:, outputs] == multi_hot[:, cycle]).sum(axis=1) for outputs in (cycle, assigned[cycle]))
        if _beyond_chance(int((other > own).sum()), int((other < own).sum()), len(cycle), count, significance):
            order[cycle] = assigned[cycle]
    return order


def _beyond_chance(gained: int, lost: int, length: int, count: int, significance: float) -> bool:
    """Return whether a cycle of ``length`` out of ``count`` classes is significant.

    ``gained`` and ``lost`` are the images that are correct only with, or only without the cycle.
    """
    choices = math.lgamma(count + 1) - math.lgamma(count - length + 1) - math.log(length)
    p_value = max(mcnemar_one_sided(gained, lost), 1e-300)
    return gained > lost and math.log(p_value) + choices < math.log(significance)


def _cycles(order: NDArray[np.int64]) -> list[list[int]]:
    cycles, seen = [], set[int]()
    for start in range(len(order)):
        cycle, place = list[int](), start
        while place not in seen:
            seen.add(place)
            cycle.append(place)
            place = int(order[place])
        if len(cycle) > 1:
            cycles.append(cycle)
    return cycles


def describe(class_names: tuple[str, ...], order: NDArray[np.int64]) -> str:
    """Describe the right order of the class names as a noun phrase, for use after "with"."""
    moved = [place for place, output in enumerate(order) if place != output]
    if len(moved) == 2:
        return f"the names {class_names[moved[0]]} and {class_names[moved[1]]} exchanged in --classes"
    right = [class_names[place] for place in np.argsort(order)]
    return f"the names of --classes in the order {first_of(right)}"
