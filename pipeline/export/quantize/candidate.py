"""One config that was tried, and which of several is best as far as the validation images can tell."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.manifest import Candidate as CandidateEntry
from pipeline.export.quantize.acceptance import Judgment
from pipeline.export.quantize.config import QuantConfig
from pipeline.metrics.classification import discordant
from pipeline.metrics.significance import mcnemar

SIGNIFICANCE = 0.05
CLOSE = 0.05
"""Mean differences within a twentieth of the smallest are a tie."""


@dataclass(frozen=True)
class Candidate:
    """A config, why it was tried, what was built by it and how that did.

    Attributes:
        stage: why it was tried.
        config: how the network is quantized.
        graph: as the quantizer built it.
        answers: its probabilities on the validation images, float32 (N, C).
        right: whether each image is classified correctly, bool (N,).
        judgment: the answers compared with Keras's.
        familiarity: how familiar each image is to it, float32 (N,); ``None`` where its file does not tell.
    """

    stage: str
    config: QuantConfig
    graph: Any
    answers: NDArray[np.float32]
    right: NDArray[np.bool_]
    judgment: Judgment
    familiarity: NDArray[np.float32] | None = None

    def entry(self) -> CandidateEntry:
        """For the manifest."""
        figures = asdict(self.judgment)
        if self.judgment.lost_points is None:
            figures["accuracy"] = None
        return CandidateEntry(stage=self.stage, config=self.config.entry(), summary=str(self.config), **figures)


def most_accurate(candidates: Sequence[Candidate]) -> Candidate:
    """The most accurate candidate, as far as the validation set can tell.

    Those that pass the criteria come before those that do not. Among them, accuracies that the McNemar test cannot tell
    from the best are equal: their second decimal is luck. Of these, the mean difference from Keras, a figure that every
    image and every class has a part in, leaves those within ``CLOSE`` of the smallest; of them the most accurate wins,
    then the one nearest to Keras, then the first.
    """
    equals = _equally_accurate(candidates)
    nearest = min(candidate.judgment.mean_difference for candidate in equals)
    near = [candidate for candidate in equals if candidate.judgment.mean_difference <= nearest * (1 + CLOSE)]
    return min(near, key=lambda candidate: (-candidate.judgment.accuracy, candidate.judgment.mean_difference))


def is_closer(changed: Candidate, base: Candidate) -> bool:
    """Whether a change brings a candidate nearer to Keras, at no cost that anybody can show.

    The mean difference falls by more than ``CLOSE``, no criterion is broken that was kept before, and McNemar's test
    does not call the accuracy worse.
    """
    nearer = changed.judgment.mean_difference < base.judgment.mean_difference * (1 - CLOSE)
    allowed = changed.judgment.passed or not base.judgment.passed
    return nearer and allowed and not _significantly_worse(changed, base)


def choose(candidates: Sequence[Candidate], slow: Sequence[str]) -> tuple[Candidate, str]:
    """The most accurate candidate of a fast form, and why it was chosen.

    Args:
        candidates: the first is the best calibration; each other one differs from it in one field.
        slow: fields that make files slower. One of these wins only where every other candidate is less accurate.
    """
    base, equals = candidates[0].config, _equally_accurate(candidates)
    fast = [
        candidate
        for candidate in equals
        if all(getattr(candidate.config, name) == getattr(base, name) for name in slow)
    ]
    winner = most_accurate(fast or equals)
    form = "fast forms" if fast else "forms"
    reason = f"closest to Keras of {len(fast or equals)} {form} that pass and whose accuracy no test tells apart"
    return winner, reason


def _equally_accurate(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that pass, or all if none does, whose accuracy the McNemar test cannot tell from the best one's."""
    passing = [candidate for candidate in candidates if candidate.judgment.passed] or list(candidates)
    best = max(passing, key=lambda candidate: candidate.judgment.accuracy)
    return [candidate for candidate in passing if not _significantly_worse(candidate, best)]


def _significantly_worse(candidate: Candidate, best: Candidate) -> bool:
    only_best, only_other = discordant(best.right, candidate.right)
    return only_best > only_other and mcnemar(only_best, only_other) < SIGNIFICANCE
