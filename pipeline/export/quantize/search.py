"""The search for the quantization config: candidates are scored on the validation images, the most accurate wins.

No clock is asked, so that the same model, images and versions give the same files: among configs whose accuracy no test
tells apart, forms that are known to be slow (``Quantizer.slow``, measured by ``make figures-graph``) come last.

Few candidates keep it to seconds: first the calibration method and the number of images; then the best of these with
corrected biases; then, from the better of both, one structural change at a time. Every candidate is built and scored
once. Where scoring takes long, the number of images is not searched, and most candidates are judged on a part of the
images alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import batch_size
from pipeline.documents.manifest import Candidate as CandidateEntry
from pipeline.documents.quantize_aware import QuantizeAware
from pipeline.export.quantize.answers import Load, answers_of
from pipeline.export.quantize.candidate import Candidate, choose, is_closer, most_accurate
from pipeline.export.quantize.config import LEARNED, METHODS, MIN_MAX, QuantConfig
from pipeline.export.quantize.layer import Layer, float_share
from pipeline.export.quantize.mixed_precision import next_float_layers
from pipeline.export.quantize.price import price
from pipeline.export.quantize.validation import Validation

IMAGE_COUNTS = (100, 500, 1_000)
DEFAULT_IMAGES = 500
COSTLY, SCREENING_IMAGES, FINALISTS = 100e9, 100, 2
"""From so many multiplications for all validation images on, configs are screened on so many of the images, and so many
of each stage are then judged on all."""
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
class Outcome:
    """What the search found.

    Attributes:
        winner: its judgment says whether even it fails the criteria.
        tried: everything that was tried, in order, as the manifest holds it.
        reason: why the winner, in words.
        price: what its layers in float cost in time on this machine, in words; empty where none went back to float.
    """

    winner: Candidate
    tried: tuple[CandidateEntry, ...]
    reason: str
    price: str = ""


@dataclass(frozen=True)
class Engines:
    """How graphs of a format become files, and how these are run.

    Attributes:
        pack: a graph to the bytes of its file.
        load: bytes of a file to what answers uint8 (N, S, S, 3) with float32 (N, C).
        float_bytes: size of the fp32 file of the format, asked only where layers go back to float.
        telling: a graph to the same with a second output, the familiarity, or to ``None`` where it is not told.
    """

    pack: Callable[[Any], bytes]
    load: Load
    float_bytes: Callable[[], int]
    telling: Callable[[Any], Any | None] = lambda _: None


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
        counts = [default.images] if self._costly else image_counts(image_count)
        methods = [replace(default, method=method, images=count) for method in METHODS for count in counts]
        methods.sort(key=lambda config: config != default)  # the default first: of equals the first wins
        calibrated = [self.score("calibration", default), *self._scored("calibration", methods[1:])]
        first, best = calibrated[0], most_accurate(calibrated)
        del calibrated  # and the graphs with them
        base = self._with_corrected_biases(best)
        changed = [base.config.flipped(name) for name in self._quantizer.changes]
        layers = self._quantizer.layers
        allowed = [config for config in changed if float_share(layers, config.in_float(layers)) <= MOSTLY]
        candidates = [base, *self._scored("structure", allowed)]
        winner, reason = choose(candidates, self._quantizer.slow)
        return self._finish(*((winner, reason) if winner.judgment.passed else (first, "no config passes")))

    def as_trained(self, trained: QuantizeAware, image_count: int) -> Outcome:
        """The one config that a network was trained for, with layers back in float until it passes the criteria.

        Args:
            trained: what quantization-aware training left.
            image_count: how many calibration images there are, for tensors without a learned range.
        """
        reduces = "reduce_range" in self._quantizer.changes and trained.reduce_range
        config = QuantConfig(LEARNED, image_count, per_channel=trained.per_channel, reduce_range=reduces)
        return self._finish(self.score("training", config), "as it was trained: quantization-aware, without a search")

    def score(self, stage: str, config: QuantConfig, graph: Any = None) -> Candidate:
        """Build one candidate unless ``graph`` is it, hold it against Keras and put it on record."""
        candidate = self._judged(stage, config, graph, self._validation)
        self._tried.append(candidate.entry())
        return candidate

    def _judged(self, stage: str, config: QuantConfig, graph: Any, validation: Validation) -> Candidate:
        graph = self._quantizer.build(config) if graph is None else graph
        engines, pixels = self._engines, validation.images.pixels
        got, familiarity = answers_of(engines.load, engines.pack, graph, engines.telling(graph), pixels)
        return Candidate(stage, config, graph, got, validation.right(got), validation.judge(got), familiarity)

    @property
    def _costly(self) -> bool:
        """Whether it takes long to judge one config on all images."""
        work = sum(layer.multiplications for layer in self._quantizer.layers)
        images = len(self._validation.images)
        return work * images > COSTLY and images > FINALISTS * SCREENING_IMAGES

    def _scored(self, stage: str, configs: Sequence[QuantConfig]) -> list[Candidate]:
        """Candidates of all configs, or where these are costly, of those nearest to Keras on some of the images.

        The others stand in the record with what they did on those.
        """
        if not self._costly:
            return [self.score(stage, config) for config in configs]
        few = self._validation.evenly(SCREENING_IMAGES)
        screened = [self._judged("screening", config, None, few) for config in configs]
        screened.sort(key=lambda candidate: candidate.judgment.mean_difference)
        for candidate in screened[FINALISTS:]:
            self._tried.append(candidate.entry().model_copy(update={"images": len(few.images)}))
        return [self.score(stage, candidate.config, candidate.graph) for candidate in screened[:FINALISTS]]

    def _with_corrected_biases(self, candidate: Candidate) -> Candidate:
        """The candidate, or the same with corrected biases where ``is_closer`` says that these help."""
        corrected = self.score("bias correction", candidate.config.flipped("bias_correction"))
        return corrected if is_closer(corrected, candidate) else candidate

    def _finish(self, candidate: Candidate, reason: str) -> Outcome:
        """The outcome for a candidate, or for what becomes of it when layers go back to float until it passes."""
        layers, pixels = self._quantizer.layers, self._validation.images.pixels
        pixels = pixels[: max(batch_size(pixels, ERROR_IMAGES, ERROR_BYTES), min(ERROR_IMAGES, LEAST_ERROR_IMAGES))]
        first = candidate
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
        cost = "" if candidate is first else self._price(first, candidate)
        return Outcome(candidate, tuple(self._tried), reason, cost)

    def _price(self, int8: Candidate, mixed: Candidate) -> str:
        engines = self._engines
        pixels = self._validation.images.pixels
        return price(engines.load, engines.pack(int8.graph), engines.pack(mixed.graph), pixels)

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


def image_counts(available: int) -> tuple[int, ...]:
    """The numbers of calibration images worth trying: those of 100, 500 and 1,000 that there are, or all."""
    return tuple(count for count in IMAGE_COUNTS if count <= available) or (available,)
