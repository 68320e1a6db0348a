"""Measures that compare preprocessing on labeled images: ``ByClass`` and, for multi-label models, ``ByLabel``.

A measure turns a model's probabilities, float (N, C), into an outcome with one row per image: whether the class is
correct, bool (N,), or the probability of each label, float (N, C). Class or label ``i`` is read from output
``order[i]``.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
from runtime.text import plural

SIGNIFICANCE = 0.01
INDISTINGUISHABLE = 0.05
"""From this p-value on, the images do not tell two outcomes apart."""

Scores = NDArray[np.floating]
Order = NDArray[np.int64]
Ask = Callable[[NDArray[np.bool_]], Scores]
"""Computes the probabilities of the images in a mask, bool (N,), with some preprocessing."""


@dataclass(frozen=True)
class Outcome:
    """The result of a model with some preprocessing.

    Attributes:
        rows: one per image, as the measure defines them.
        loss: the mean Brier score: the squared distance of the probabilities from the labels. It is bounded, so a
            right preprocessing of an overconfident model still beats one that makes all probabilities equal.
        confidence: the mean of the largest probability; for labels, of the probability of what is decided.
        share_correct: share (0-1) of correct answers; for labels, of correct decisions.
    """

    rows: NDArray[Any]
    loss: float
    confidence: float
    share_correct: float


class Measure(Protocol):
    """A measure of how well a model classifies labeled images."""

    def outcome(self, scores: Scores, order: Order) -> Outcome:
        """Turn the scores of all images into an outcome."""

    def value(self, outcome: Outcome) -> float:
        """Return the accuracy or macro F1 of an outcome, 0-1."""

    def is_better(self, challenger: Outcome, best: Outcome, tried: int) -> bool:
        """Return whether ``challenger`` is significantly better than ``best``, corrected for ``tried`` comparisons."""

    def tells_apart(self, best: Outcome, other: Outcome) -> bool:
        """Return whether ``best`` is significantly better than ``other``, in a single comparison."""

    def better(self, ask: Ask, order: Order, best: Outcome, tried: int) -> Outcome | None:
        """Return the outcome of the scores that ``ask`` computes; ``None`` if it is not better than ``best``."""

    def order_of(self, scores: Scores) -> Order:
        """Find from the scores which output means each class."""

    def beats_guessing(self, outcome: Outcome) -> bool:
        """Return whether an outcome is significantly better than answers that ignore the images."""

    def compared(self, outcome: Outcome, other: Outcome, flags: str) -> str:
        """Compare two outcomes in a sentence; ``flags`` are the options that lead to ``other``."""

    def counted(self, outcome: Outcome) -> str:
        """Return the number of correct images, or macro F1, of an outcome."""


class ByClass:
    """Accuracy, compared by McNemar's test; labels int64 (N,)."""

    def __init__(self, labels: NDArray[np.int64], class_count: int) -> None:
        self._labels, self._class_count = labels, class_count

    def outcome(self, scores: Scores, order: Order) -> Outcome:  # noqa: D102 - as Measure says
        probabilities = scores[:, order]
        is_correct = probabilities.argmax(axis=1) == self._labels
        truth = self._labels[:, np.newaxis] == np.arange(self._class_count)
        loss = np.square(probabilities - truth).sum(axis=1).mean()
        return Outcome(is_correct, float(loss), float(probabilities.max(axis=1).mean()), float(is_correct.mean()))

    def value(self, outcome: Outcome) -> float:  # noqa: D102
        return outcome.share_correct

    def is_better(self, challenger: Outcome, best: Outcome, tried: int) -> bool:  # noqa: D102
        return self._more_correct(challenger.rows, best.rows, tried)

    def tells_apart(self, best: Outcome, other: Outcome) -> bool:  # noqa: D102
        return mcnemar(*discordant(best.rows, other.rows)) < INDISTINGUISHABLE

    def better(self, ask: Ask, order: Order, best: Outcome, tried: int) -> Outcome | None:
        """Run the model first on the images that ``best`` gets wrong; run the others only if that can be better."""
        expected, found = order[self._labels], best.rows.copy()
        scores = np.zeros((len(found), self._class_count))
        for chosen in (~best.rows, best.rows):
            if chosen.any():
                scores[chosen] = ask(chosen)
                found[chosen] = scores[chosen].argmax(axis=1) == expected[chosen]
            # In the first round: even if all other answers stay correct.
            if not self._more_correct(found, best.rows, tried):
                return None
        return self.outcome(scores, order)

    def order_of(self, scores: Scores) -> Order:  # noqa: D102
        confusion = confusion_matrix(scores.argmax(axis=1), self._labels, self._class_count)
        return output_of_class(confusion, SIGNIFICANCE)

    def beats_guessing(self, outcome: Outcome) -> bool:  # noqa: D102
        return beats_chance(outcome.share_correct, len(outcome.rows), self._class_count)

    def compared(self, outcome: Outcome, other: Outcome, flags: str) -> str:  # noqa: D102
        return (
            f"of {plural(len(outcome.rows), 'labeled image')} the Keras model names {self.counted(outcome)} rightly "
            f"({outcome.share_correct:.1%}) as it is fed, and {self.counted(other)} ({other.share_correct:.1%}) with "
            f"{flags}"
        )

    def counted(self, outcome: Outcome) -> str:  # noqa: D102
        return str(outcome.rows.sum())

    @staticmethod
    def _more_correct(challenger: NDArray[np.bool_], best: NDArray[np.bool_], tried: int) -> bool:
        gained, lost = discordant(challenger, best)
        return gained > lost and tried * mcnemar(lost, gained) < SIGNIFICANCE


class ByLabel:
    """Macro F1, compared by a permutation test over the images; multi-hot labels bool (N, C).

    Preprocessing that only makes all probabilities larger finds more labels without ranking the images better. So a
    better outcome must also have no lower mean average precision.
    """

    def __init__(self, multi_hot: NDArray[np.bool_]) -> None:
        self._multi_hot = multi_hot

    def outcome(self, scores: Scores, order: Order) -> Outcome:  # noqa: D102 - as Measure says
        probabilities = scores[:, order]
        loss = 2 * np.square(probabilities - self._multi_hot).mean()  # a label counts as two classes
        confidence = np.maximum(probabilities, 1 - probabilities).mean()
        share_correct = (self._decided(probabilities) == self._multi_hot).mean()
        return Outcome(probabilities, float(loss), float(confidence), float(share_correct))

    def value(self, outcome: Outcome) -> float:  # noqa: D102
        return macro_f1(self._decided(outcome.rows), self._multi_hot)

    def is_better(self, challenger: Outcome, best: Outcome, tried: int) -> bool:  # noqa: D102
        ranks = [mean_average_precision(outcome.rows, self._multi_hot) for outcome in (challenger, best)]
        return ranks[0] >= ranks[1] and tried * self._p_value(challenger, self._decided(best.rows)) < SIGNIFICANCE

    def tells_apart(self, best: Outcome, other: Outcome) -> bool:  # noqa: D102
        return 2 * self._p_value(best, self._decided(other.rows)) < INDISTINGUISHABLE  # the test is one-sided

    def better(self, ask: Ask, order: Order, best: Outcome, tried: int) -> Outcome | None:  # noqa: D102
        found = self.outcome(ask(np.ones(len(self._multi_hot), np.bool_)), order)
        return found if self.is_better(found, best, tried) else None

    def order_of(self, scores: Scores) -> Order:  # noqa: D102
        return output_of_label(self._decided(scores), self._multi_hot, SIGNIFICANCE)

    def beats_guessing(self, outcome: Outcome) -> bool:
        """Compare with giving every label to every image, the best macro F1 that ignores the images."""
        return self._p_value(outcome, np.ones_like(self._multi_hot)) < SIGNIFICANCE

    def compared(self, outcome: Outcome, other: Outcome, flags: str) -> str:  # noqa: D102
        return (
            f"on {plural(len(outcome.rows), 'labeled image')} the Keras model has a macro F1 of "
            f"{self.counted(outcome)} as it is fed, and of {self.counted(other)} with {flags}"
        )

    def counted(self, outcome: Outcome) -> str:  # noqa: D102
        return f"{self.value(outcome):.1%}"

    def _p_value(self, challenger: Outcome, best: NDArray[np.bool_]) -> float:
        return permutation_p_value(self._decided(challenger.rows), best, self._multi_hot)

    @staticmethod
    def _decided(probabilities: Scores) -> NDArray[np.bool_]:
        return decisions(probabilities, [NO_THRESHOLD] * probabilities.shape[1])
