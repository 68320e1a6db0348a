"""Are the class names in the order of the model's outputs? Swapped names leave their trace in the confusion matrix."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.metrics.significance import mcnemar_one_sided

LISTED = 10


def output_of_class(confusion: NDArray[np.int64], significance: float) -> NDArray[np.int64]:
    """Which output means each class, int64 (C,): its own number but where another order is right beyond chance.

    The assignment with most right answers is cut into its cycles. A cycle of k classes is one of C! / (C - k)! / k that
    could have been found, and is judged so (Bonferroni).

    Args:
        confusion: int64 (C, C), rows what the images show, columns what the model says.
        significance: share (0-1) of right orders that may be doubted.
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


def output_of_label(decided: NDArray[np.bool_], marks: NDArray[np.bool_], significance: float) -> NDArray[np.int64]:
    """The same for independent labels: an order is right where more images get more of the cycle's labels right.

    Args:
        decided: which outputs say yes to each image, bool (N, C).
        marks: which labels each image shows, bool (N, C).
        significance: as for classes.
    """
    count = marks.shape[1]
    says, shows = decided.astype(np.int64), marks.astype(np.int64)
    agreeing = shows.T @ says + (1 - shows).T @ (1 - says)
    assigned: NDArray[np.int64] = linear_sum_assignment(agreeing + 0.5 * np.eye(count), maximize=True)[1]
    order = np.arange(count)
    for cycle in _cycles(assigned):
        own, other = ((decided[:, outputs] == marks[:, cycle]).sum(axis=1) for outputs in (cycle, assigned[cycle]))
        if _beyond_chance(int((other > own).sum()), int((other < own).sum()), len(cycle), count, significance):
            order[cycle] = assigned[cycle]
    return order


def _beyond_chance(gained: int, lost: int, length: int, count: int, significance: float) -> bool:
    """Whether a cycle of ``length`` of ``count`` classes is right, by the images that it gains and loses."""
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
    """What the names are to be, a noun."""
    moved = [place for place, output in enumerate(order) if place != output]
    if len(moved) == 2:
        return f"the names {class_names[moved[0]]} and {class_names[moved[1]]} exchanged in --classes"
    right = [class_names[place] for place in np.argsort(order)]
    shown = ", ".join(right[:LISTED]) + (f" and {len(right) - LISTED} more" if len(right) > LISTED else "")
    return f"the names of --classes in the order {shown}"
