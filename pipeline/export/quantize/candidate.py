"""A candidate, which is a config that the search has built and judged, and the choice of the best of several."""

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
"""Mean differences up to this share above the smallest count as equal to it."""


@dataclass(frozen=True)
class Candidate:
    """A config, the graph that was built from it, and its results on the validation images.

    Attributes:
        stage: the stage of the search that tried it, such as ``calibration``.
        config: how the network is quantized.
        graph: the quantized graph.
        answers: its probabilities for the validation images, float32 (N, C).
        is_correct: whether it classifies each image correctly, bool (N,).
        judgment: comparison of its answers with Keras's.
        with_score: the graph with a second output, the familiarity; ``None`` if its file has no such output.
        familiarity: its familiarity of each image, float32 (N,); ``None`` if its file has no such output.
    """

    stage: str
    config: QuantConfig
    graph: Any
    answers: NDArray[np.float32]
    is_correct: NDArray[np.bool_]
    judgment: Judgment
    with_score: Any | None = None
    familiarity: NDArray[np.float32] | None = None

    def entry(self) -> CandidateEntry:
        """Return the candidate in the form that the manifest stores."""
        figures = asdict(self.judgment)
        if self.judgment.lost_points is None:
            figures["accuracy"] = None
        return CandidateEntry(stage=self.stage, config=self.config.entry(), summary=str(self.config), **figures)


def most_accurate(candidates: Sequence[Candidate]) -> Candidate:
    """Return the most accurate candidate, as far as the validation set can show.

    Candidates that pass the criteria are preferred; if none passes, all are considered. Accuracies that the McNemar
    test cannot distinguish from the best one count as equal. Of these candidates, those remain whose mean difference
    from Keras, which depends on all images and classes, is within ``CLOSE`` of the smallest. Of the remaining ones, the
    most accurate wins, then the one with the smallest mean difference, then the first.
    """
    equals = _equally_accurate(candidates)
    nearest = min(candidate.judgment.mean_difference for candidate in equals)
    near = [candidate for candidate in equals if candidate.judgment.mean_difference <= nearest * (1 + CLOSE)]
    return min(near, key=lambda candidate: (-candidate.judgment.accuracy, candidate.judgment.mean_difference))


def is_closer(changed: Candidate, base: Candidate) -> bool:
    """Return whether ``changed`` is closer to Keras than ``base`` and not measurably worse.

    The mean difference must fall by more than the share ``CLOSE``, the criteria must still pass if they did before, and
    the accuracy must not be significantly lower by the McNemar test.
    """
    nearer = changed.judgment.mean_difference < base.judgment.mean_difference * (1 - CLOSE)
    allowed = changed.judgment.passed or not base.judgment.passed
    return nearer and allowed and not _significantly_worse(changed, base)


def choose(candidates: Sequence[Candidate], slow: Sequence[str]) -> tuple[Candidate, str]:
    """Return the most accurate candidate without slow fields, and the reason for the choice in words.

    Args:
        candidates: the first is the best calibration; each of the others differs from it in one field.
        slow: config fields that make files slower. A candidate that differs in one of these wins only if every other
            candidate is significantly less accurate.
    """
    base, equals = candidates[0].config, _equally_accurate(candidates)
    fast = [
        candidate
        for candidate in equals
        if all(getattr(candidate.config, name) == getattr(base, name) for name in slow)
    ]
    winner = most_accurate(fast or equals)
    kind = "fast configs" if fast else "configs"
    reason = (
        f"closest to Keras of the {kind} ({len(fast or equals)}) that pass without a significant difference in accuracy"
    )
    return winner, reason


def _equally_accurate(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the passing candidates, or all if none passes, that are not significantly less accurate than the best."""
    passing = [candidate for candidate in candidates if candidate.judgment.passed] or list(candidates)
    best = max(passing, key=lambda candidate: candidate.judgment.accuracy)
    return [candidate for candidate in passing if not _significantly_worse(candidate, best)]


def _significantly_worse(candidate: Candidate, best: Candidate) -> bool:
    only_best, only_other = discordant(best.is_correct, candidate.is_correct)
    return only_best > only_other and mcnemar(only_best, only_other) < SIGNIFICANCE
