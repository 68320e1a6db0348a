"""Measures that compare ways of preprocessing on labeled images: ``ByClass`` and, for multi-label models, ``ByLabel``.

A measure turns a model's scores, float (N, C), into an outcome with one row per image: whether the class is correct,
bool (N,), or the score of each label, float (N, C). Class or label ``i`` is read from output ``order[i]``.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.classification import confusion_matrix, discordant
from pipeline.metrics.multi_label import (
    NO_THRESHOLD,
    decisions,
    macro_f1,
    mean_average_precision,
    permutation_p_value,
)
from pipeline.metrics.significance import beats_chance, mcnemar
from pipeline.verify.input_contract.class_order import output_of_class, output_of_label

SIGNIFICANCE = 0.01

Scores = NDArray[np.floating]
Outcome = NDArray[Any]
Order = NDArray[np.int64]
Ask = Callable[[NDArray[np.bool_]], Scores]
"""Computes the scores of the images in a mask, bool (N,), with some preprocessing."""


class Measure(Protocol):
    """Measures and compares how well a model classifies labeled images."""

    def outcome(self, scores: Scores, order: Order) -> Outcome:
        """Turn the scores of all images into an outcome."""

    def value(self, outcome: Outcome) -> float:
        """Return the accuracy or macro F1 of an outcome, 0-1."""

    def is_better(self, challenger: Outcome, best: Outcome, tried: int) -> bool:
        """Return whether ``challenger`` is significantly better than ``best``, corrected for ``tried`` comparisons."""

    def better(self, ask: Ask, order: Order, best: Outcome, tried: int) -> Outcome | None:
        """Return the outcome of the scores that ``ask`` computes; ``None`` if it is not better than ``best``."""

    def order_of(self, scores: Scores) -> Order:
        """Find from the scores which output means each class."""

    def beats_guessing(self, outcome: Outcome) -> bool:
        """Return whether an outcome is significantly better than answers that ignore the images."""

    def compared(self, outcome: Outcome, other: Outcome, flags: str) -> str:
        """Compare two outcomes in a sentence; ``flags`` are the options that lead to ``other``."""


class ByClass:
    """Accuracy, compared by McNemar's test; labels int64 (N,)."""

    def __init__(self, labels: NDArray[np.int64], class_count: int) -> None:
        self._labels, self._class_count = labels, class_count

    def outcome(self, scores: Scores, order: Order) -> Outcome:  # noqa: D102 - as Measure says
        named: Outcome = scores.argmax(axis=1) == order[self._labels]
        return named

    def value(self, outcome: Outcome) -> float:  # noqa: D102
        return float(outcome.mean())

    def is_better(self, challenger: Outcome, best: Outcome, tried: int) -> bool:  # noqa: D102
        gained, lost = discordant(challenger, best)
        return gained > lost and tried * mcnemar(lost, gained) < SIGNIFICANCE

    def better(self, ask: Ask, order: Order, best: Outcome, tried: int) -> Outcome | None:
        """First run the model on the images that ``best`` gets wrong; run the others only if that can be better."""
        expected, found = order[self._labels], best.copy()
        for chosen in (~best, best):
            if chosen.any():
                found[chosen] = ask(chosen).argmax(axis=1) == expected[chosen]
            if not self.is_better(found, best, tried):  # in the first round: even if all other answers stay correct
                return None
        return found

    def order_of(self, scores: Scores) -> Order:  # noqa: D102
        confusion = confusion_matrix(scores.argmax(axis=1), self._labels, self._class_count)
        return output_of_class(confusion, SIGNIFICANCE)

    def beats_guessing(self, outcome: Outcome) -> bool:  # noqa: D102
        return beats_chance(float(outcome.mean()), len(outcome), self._class_count)

    def compared(self, outcome: Outcome, other: Outcome, flags: str) -> str:  # noqa: D102
        return (
            f"of {len(outcome)} labeled images the Keras model names {outcome.sum()} rightly ({outcome.mean():.1%}) as "
            f"it is fed, and {other.sum()} ({other.mean():.1%}) with {flags}"
        )


class ByLabel:
    """Macro F1, compared by a permutation test over the images; marks bool (N, C).

    Preprocessing that only makes all probabilities larger finds more labels without ranking the images better. So a
    better outcome must also have no lower mean average precision.
    """

    def __init__(self, marks: NDArray[np.bool_]) -> None:
        self._marks = marks

    def outcome(self, scores: Scores, order: Order) -> Outcome:  # noqa: D102 - as Measure says
        return scores[:, order]

    def value(self, outcome: Outcome) -> float:  # noqa: D102
        return macro_f1(self._decided(outcome), self._marks)

    def is_better(self, challenger: Outcome, best: Outcome, tried: int) -> bool:  # noqa: D102
        ranks = [mean_average_precision(outcome, self._marks) for outcome in (challenger, best)]
        return ranks[0] >= ranks[1] and self._finds_more(challenger, self._decided(best), tried)

    def better(self, ask: Ask, order: Order, best: Outcome, tried: int) -> Outcome | None:  # noqa: D102
        found = self.outcome(ask(np.ones(len(self._marks), np.bool_)), order)
        return found if self.is_better(found, best, tried) else None

    def order_of(self, scores: Scores) -> Order:  # noqa: D102
        return output_of_label(self._decided(scores), self._marks, SIGNIFICANCE)

    def beats_guessing(self, outcome: Outcome) -> bool:
        """Compare with giving every label to every image, the best macro F1 that ignores the images."""
        return self._finds_more(outcome, np.ones_like(self._marks), 1)

    def compared(self, outcome: Outcome, other: Outcome, flags: str) -> str:  # noqa: D102
        return (
            f"on {len(outcome)} labeled images the Keras model has a macro F1 of {self.value(outcome):.1%} as it is "
            f"fed, and of {self.value(other):.1%} with {flags}"
        )

    def _finds_more(self, challenger: Outcome, best: NDArray[np.bool_], tried: int) -> bool:
        return tried * permutation_p_value(self._decided(challenger), best, self._marks) < SIGNIFICANCE

    def _decided(self, outcome: Outcome) -> NDArray[np.bool_]:
        return decisions(outcome, [NO_THRESHOLD] * outcome.shape[1])
