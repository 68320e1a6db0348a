"""The search for the quantization config: candidates are scored on the validation images, the most accurate wins.

No clock is asked, so that the same model, images and versions give the same files: among configs whose accuracy no test
tells apart, forms that are known to be slow (``Quantizer.slow``, measured by ``make figures-graph``) come last.

Few candidates keep it to seconds: first the calibration method and the number of images; then the best of these with
corrected biases; then, from the better of both, one structural change at a time. Every candidate is built and scored
once.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import batch_size, in_batches
from pipeline.documents.manifest import Candidate as CandidateEntry
from pipeline.export.quantize.acceptance import Judgment
from pipeline.export.quantize.config import METHODS, MIN_MAX, QuantConfig
from pipeline.export.quantize.layer import Layer, float_share
from pipeline.export.quantize.mixed_precision import next_float_layers
from pipeline.export.quantize.validation import Validation
from pipeline.metrics.classification import discordant
from pipeline.metrics.significance import mcnemar

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
Load = Callable[[bytes], Predict]

SIGNIFICANCE = 0.05
CLOSE = 0.05
"""Mean differences within a twentieth of the smallest are a tie."""
IMAGE_COUNTS = (100, 500, 1_000)
DEFAULT_IMAGES = 500
BATCH = 64
WORKERS = 2
"""Each holds its own engine, so that more would cost memory."""
ERROR_IMAGES, LEAST_ERROR_IMAGES, ERROR_BYTES = 100, 16, 4 * 1024 * 1024
"""Validation images on which a failing network's layers are compared: the most, the least, and their pixels."""
MOSTLY = 0.5
"""With more than this share of its multiplications in float a file is not called int8."""


class Quantizer(Protocol):
    """A network, calibrated once, that any config can be applied to."""

    changes: tuple[str, ...]
    """The yes-or-no fields of a config that make a difference to this format."""
    slow: tuple[str, ...]
    """Those of ``changes`` that make its files slower by more than a tenth."""
    layers: tuple[Layer, ...]
    """In the data's order."""

    def build(self, config: QuantConfig) -> Any:
        """The deployable graph."""
        ...

    def noise(self, graph: Any, pixels: NDArray[np.uint8]) -> list[float]:
        """Noise-to-signal ratio of every layer's output in a graph that ``build`` made."""
        ...


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
    """

    stage: str
    config: QuantConfig
    graph: Any
    answers: NDArray[np.float32]
    right: NDArray[np.bool_]
    judgment: Judgment

    def entry(self) -> CandidateEntry:
        """For the manifest."""
        figures = asdict(self.judgment)
        if self.judgment.lost_points is None:
            figures["accuracy"] = None
        return CandidateEntry(stage=self.stage, config=self.config.entry(), summary=str(self.config), **figures)


@dataclass(frozen=True)
class Outcome:
    """What the search found.

    Attributes:
        winner: its judgment says whether even it fails the criteria.
        tried: everything that was tried, in order, as the manifest holds it.
        reason: why the winner, in words.
    """

    winner: Candidate
    tried: tuple[CandidateEntry, ...]
    reason: str


@dataclass(frozen=True)
class Engines:
    """How graphs of a format become files, and how these are run.

    Attributes:
        pack: a graph to the bytes of its file.
        load: bytes of a file to what answers uint8 (N, S, S, 3) with float32 (N, C).
        float_bytes: size of the fp32 file of the format, asked only where layers go back to float.
    """

    pack: Callable[[Any], bytes]
    load: Load
    float_bytes: Callable[[], int]


class Search:
    """One network's search.

    Args:
        quantizer: the network.
        validation: what candidates are scored on.
        engines: how graphs become files.
    """

    def __init__(self, quantizer: Quantizer, validation: Validation, engines: Engines) -> None:
        self._quantizer, self._validation, self._engines = quantizer, validation, engines
        self._tried: list[CandidateEntry] = []

    def run(self, image_count: int, *, quick: bool = False) -> Outcome:
        """Find the config.

        Where nothing passes the criteria, layers of the default candidate go back to float: minimum and maximum clip
        nothing, so that what noise a layer adds is its own.

        Args:
            image_count: how many calibration images there are.
            quick: take the default candidate; the criteria and the way back to float apply all the same.
        """
        last = "softmax" if self._validation.thresholds is None else "sigmoids"
        default = QuantConfig(MIN_MAX, min(DEFAULT_IMAGES, image_count), ends_in=last)
        if quick:
            candidate = self._with_corrected_biases(self.score("default", default))
            return self._finish(candidate, "the default config, without a search")
        methods = [
            replace(default, method=method, images=count) for method in METHODS for count in image_counts(image_count)
        ]
        methods.sort(key=lambda config: config != default)  # the default first: of equals the first wins
        calibrated = [self.score("calibration", config) for config in methods]
        first, best = calibrated[0], most_accurate(calibrated)
        del calibrated  # and the graphs with them
        candidates = [self._with_corrected_biases(best)]
        for name in self._quantizer.changes:
            config = candidates[0].config.flipped(name)
            if float_share(self._quantizer.layers, config.in_float(self._quantizer.layers)) <= MOSTLY:
                candidates.append(self.score("structure", config))
        winner, reason = choose(candidates, self._quantizer.slow)
        return self._finish(*((winner, reason) if winner.judgment.passed else (first, "no config passes")))

    def score(self, stage: str, config: QuantConfig, graph: Any = None) -> Candidate:
        """Build one candidate unless ``graph`` is it, hold it against Keras and put it on record."""
        graph = self._quantizer.build(config) if graph is None else graph
        got = predict_all(self._engines.load, self._engines.pack(graph), self._validation.images.pixels)
        candidate = Candidate(stage, config, graph, got, self._validation.right(got), self._validation.judge(got))
        self._tried.append(candidate.entry())
        return candidate

    def _with_corrected_biases(self, candidate: Candidate) -> Candidate:
        """The candidate, or the same with corrected biases where ``is_closer`` says that these help."""
        corrected = self.score("bias correction", candidate.config.flipped("bias_correction"))
        return corrected if is_closer(corrected, candidate) else candidate

    def _finish(self, candidate: Candidate, reason: str) -> Outcome:
        """The outcome for a candidate, or for what becomes of it when layers go back to float until it passes."""
        layers, pixels = self._quantizer.layers, self._validation.images.pixels
        pixels = pixels[: max(batch_size(pixels, ERROR_IMAGES, ERROR_BYTES), min(ERROR_IMAGES, LEAST_ERROR_IMAGES))]
        while not candidate.judgment.passed:
            kept = candidate.config.float_layers
            found = next_float_layers(layers, self._quantizer.noise(candidate.graph, pixels), kept)
            if not found:
                break
            config = replace(candidate.config, float_layers=(*kept, *(name for name, _ in found)))
            graph = self._quantizer.build(config)
            limit = self._why_no_further(config, graph)
            if limit is not None:
                names = ", ".join(name for name, _ in found)
                reason = f"the criteria are not passed, and with {names} in float, too, {limit}: take the fp32 file"
                break
            names = ", ".join(f"{name} (noise-to-signal ratio up by {added:.1e})" for name, added in found)
            stage = f"back to float: {names}"
            candidate = self.score(stage, config, graph)
            reason = f"passes with {len(config.float_layers)} of {len(layers)} layers in float"
        return Outcome(candidate, tuple(self._tried), reason)

    def _why_no_further(self, config: QuantConfig, graph: Any) -> str | None:
        """Why a file with so many layers in float is worth no more than the fp32 file; ``None`` where it is."""
        layers = self._quantizer.layers
        share = float_share(layers, config.in_float(layers))
        if share > MOSTLY:
            return f"{share:.0%} of its multiplications would be in float, so that it is hardly faster than fp32"
        own, fp32 = len(self._engines.pack(graph)), self._engines.float_bytes()
        if own >= fp32:
            return f"it would be no smaller than fp32 ({own / 1024:.0f} against {fp32 / 1024:.0f} KiB)"
        return None


def predict_all(load: Load, content: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """All answers of a file, float32 (N, C), in batches that fit into memory.

    The batches do not depend on the machine, only who works on them does: ``WORKERS`` engines, each with one thread.
    """
    batches = list(in_batches(pixels, BATCH))
    shares = [batches[worker::WORKERS] for worker in range(min(WORKERS, len(batches)))]
    engines = [load(content) for _ in shares]

    def answer(predict: Predict, share: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        return [predict(np.ascontiguousarray(batch)) for batch in share]

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(answer, engines, shares))
    return np.concatenate([answers[number % WORKERS][number // WORKERS] for number in range(len(batches))])


def image_counts(available: int) -> tuple[int, ...]:
    """The numbers of calibration images worth trying: those of 100, 500 and 1,000 that there are, or all."""
    return tuple(count for count in IMAGE_COUNTS if count <= available) or (available,)


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
