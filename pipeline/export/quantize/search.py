"""The search for the quantization config: candidates are scored on the validation images, and the most accurate wins.

Latency is not measured, so that the same model, images and versions give the same files. Instead, among configs whose
accuracies do not differ significantly, those with fields that are known to be slow (``Quantizer.slow``, measured by
``make figures-graph``) are chosen last.

Few candidates keep the search to seconds: first, the calibration methods and numbers of images; then the best of these
with corrected biases; then, from the better of both, one structural change at a time. Every candidate is built and
scored once. If scoring takes long (``COSTLY``), the number of images is not searched, and most candidates are scored on
``SCREENING_IMAGES`` of the images only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import batch_size
from pipeline.documents.manifest import BIAS_CORRECTION, DEFAULT, TRAINED, LayerNoise
from pipeline.documents.manifest import Candidate as CandidateEntry
from pipeline.documents.quantize_aware import QuantizeAware
from pipeline.export.quantize.answers import Load, answers_of
from pipeline.export.quantize.candidate import Candidate, choose, is_closer, most_accurate
from pipeline.export.quantize.config import LEARNED, METHODS, MIN_MAX, QuantConfig
from pipeline.export.quantize.latencies import compare_latencies
from pipeline.export.quantize.layer import Layer, float_share
from pipeline.export.quantize.mixed_precision import layer_entries, next_float_layers
from pipeline.export.quantize.validation import Validation
from runtime.text import first_of

IMAGE_COUNTS = (100, 500, 1_000)
DEFAULT_IMAGES = 500
COSTLY, SCREENING_IMAGES, FINALISTS = 100e9, 100, 2
"""If one config takes more than ``COSTLY`` multiplications on all validation images, the configs of each stage are
screened on ``SCREENING_IMAGES`` of them, and the best ``FINALISTS`` are then judged on all."""
ERROR_IMAGES, LEAST_ERROR_IMAGES, ERROR_BYTES = 100, 16, 4 * 1024 * 1024
"""Largest and smallest number of validation images on which the layers of a failing network are compared, and the most
bytes of pixels, which the smallest number may exceed."""
MOSTLY = 0.5
"""Largest share of multiplications in float that an int8 file may have."""


class Quantizer(Protocol):
    """A network that was calibrated once and can be quantized with any config."""

    changes: tuple[str, ...]
    """The boolean fields of ``QuantConfig`` that have an effect in this format."""
    slow: tuple[str, ...]
    """The fields among ``changes`` that make files slower by more than 10 %."""
    layers: tuple[Layer, ...]
    """The network's layers in topological order."""

    def build(self, config: QuantConfig) -> Any:
        """Build the quantized graph, which takes uint8 pixels."""
        ...

    def correct(self, config: QuantConfig, graph: Any) -> Any:
        """Return the graph of a config without corrected biases, ``graph``, with corrected ones."""
        ...

    def noise(self, graph: Any, pixels: NDArray[np.uint8]) -> list[float]:
        """Compute the noise-to-signal ratio of every layer's output in a built graph for images, uint8 (N, H, W, 3)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """The result of the search.

    Attributes:
        winner: the chosen candidate; its judgment says whether it passes the criteria.
        tried: all candidates in the order in which they were tried, in the form that the manifest stores.
        reason: the reason for the choice, in words.
        latencies: on this machine with and without float layers, in words; empty if no layer returned to float.
        layers: how noisy each layer is, if that was measured.
    """

    winner: Candidate
    tried: tuple[CandidateEntry, ...]
    reason: str
    latencies: str = ""
    layers: tuple[LayerNoise, ...] = ()


@dataclass(frozen=True)
class Engines:
    """The functions that pack graphs of a format into files and run these.

    Attributes:
        pack: makes a file's bytes of a graph.
        load: makes an engine of a file's bytes: a function from uint8 (N, H, W, 3) to float32 (N, C).
        float_bytes: gives the size of the format's fp32 file in bytes; called only if layers return to float.
        with_score: makes of a graph the same graph with a second output, the familiarity; ``None`` if files do not have
            it.
    """

    pack: Callable[[Any], bytes]
    load: Load
    float_bytes: Callable[[], int]
    with_score: Callable[[Any], Any | None] = lambda _: None


class Search:
    """The search for the config of one network in one format.

    Args:
        quantizer: the calibrated network.
        validation: the images on which candidates are scored.
        engines: functions that pack and run graphs.
    """

    def __init__(self, quantizer: Quantizer, validation: Validation, engines: Engines) -> None:
        self._quantizer, self._validation, self._engines = quantizer, validation, engines
        self._tried: list[CandidateEntry] = []

    def run(self, image_count: int, *, quick: bool = False) -> Outcome:
        """Search for the best config.

        If no config passes the criteria, layers of the default candidate return to float until it passes. The default
        is used because minimum and maximum do not clip, so that all noise that a layer adds is due to its own rounding.

        Args:
            image_count: number of calibration images.
            quick: use the default candidate instead of searching; layers may still return to float.
        """
        last = "softmax" if self._validation.thresholds is None else "sigmoids"
        default = QuantConfig(MIN_MAX, min(DEFAULT_IMAGES, image_count), ends_in=last)
        if quick:
            candidate = self._with_corrected_biases(self.score(DEFAULT, default))
            closer = "; corrected biases bring it closer to Keras, without a significant loss of accuracy"
            reason = f"the default config, without a search{closer if candidate.config.bias_correction else ''}"
            return self._finish(candidate, reason, measured=False)
        counts = [default.images] if self._costly else image_counts(image_count)
        methods = [replace(default, method=method, images=count) for method in METHODS for count in counts]
        methods.sort(key=lambda config: config != default)  # the default first, because the first of equals wins
        calibrated = [self.score("calibration", default), *self._scored("calibration", methods[1:])]
        first, best = calibrated[0], most_accurate(calibrated)
        del calibrated  # frees their graphs
        base = self._with_corrected_biases(best)
        changed = [base.config.flipped(name) for name in self._quantizer.changes]
        layers = self._quantizer.layers
        allowed = [config for config in changed if float_share(layers, config.in_float(layers)) <= MOSTLY]
        candidates = [base, *self._scored("structure", allowed)]
        winner, reason = choose(candidates, self._quantizer.slow)
        return self._finish(*((winner, reason) if winner.judgment.passed else (first, "no config passes")))

    def as_trained(self, trained: QuantizeAware, image_count: int) -> Outcome:
        """Use the config for which a network was trained; layers return to float until it passes the criteria.

        Args:
            trained: ranges and rounding of quantization-aware training.
            image_count: number of calibration images, which give the ranges of tensors without a learned one.
        """
        reduces = "reduce_range" in self._quantizer.changes and trained.reduce_range
        config = QuantConfig(LEARNED, image_count, per_channel=trained.per_channel, reduce_range=reduces)
        return self._finish(self.score(TRAINED, config), "as it was trained: quantization-aware, without a search")

    def score(self, stage: str, config: QuantConfig, graph: Any = None) -> Candidate:
        """Build a candidate (or use ``graph`` if given), compare it with Keras and add it to ``Outcome.tried``."""
        candidate = self._judged(stage, config, graph, self._validation)
        self._tried.append(candidate.entry())
        return candidate

    def _judged(self, stage: str, config: QuantConfig, graph: Any, validation: Validation) -> Candidate:
        graph = self._quantizer.build(config) if graph is None else graph
        engines, pixels = self._engines, validation.images.pixels
        with_score = engines.with_score(graph)
        got, familiarity = answers_of(engines.load, engines.pack, graph, with_score, pixels)
        is_correct, judgment = validation.is_correct(got), validation.judge(got)
        return Candidate(stage, config, graph, got, is_correct, judgment, with_score, familiarity)

    @property
    def _costly(self) -> bool:
        """Whether judging one config on all images takes long; see ``COSTLY``."""
        work = sum(layer.multiplications for layer in self._quantizer.layers)
        images = len(self._validation.images)
        return work * images > COSTLY and images > FINALISTS * SCREENING_IMAGES

    def _scored(self, stage: str, configs: Sequence[QuantConfig]) -> list[Candidate]:
        """Score candidates of all configs; if judging is costly, only of the ``FINALISTS`` that screen best.

        Screening measures the mean difference from Keras on ``SCREENING_IMAGES`` images; the other configs are recorded
        with their results on these images.
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
        """Correct the candidate's biases if this helps (``is_closer``), else return the candidate itself."""
        graph = self._quantizer.correct(candidate.config, candidate.graph)
        corrected = self.score(BIAS_CORRECTION, candidate.config.flipped("bias_correction"), graph)
        return corrected if is_closer(corrected, candidate) else candidate

    def _finish(self, candidate: Candidate, reason: str, *, measured: bool = True) -> Outcome:
        """Return the outcome for a candidate; if it fails the criteria, its layers return to float until it passes.

        Args:
            candidate: the best so far.
            reason: why it was chosen.
            measured: measure the noise of its layers even if none goes back to float.
        """
        layers, first = self._quantizer.layers, candidate
        noise = self._noise(candidate) if measured or not candidate.judgment.passed else []
        while not candidate.judgment.passed:
            kept = candidate.config.float_layers
            own = noise if candidate is first else self._noise(candidate)
            found = next_float_layers(layers, own, kept)
            if not found:
                break
            config = replace(candidate.config, float_layers=(*kept, *(name for name, _ in found)))
            graph = self._quantizer.build(config)
            limit = self._why_no_further(config, graph)
            if limit is not None:
                names = first_of([name for name, _ in found])
                reason = f"fails the criteria, and with {names} in float, too, {limit}: use the fp32 file"
                break
            names = ", ".join(f"{name} (noise-to-signal ratio up by {added:.1e})" for name, added in found)
            stage = f"back to float: {names}"
            candidate = self.score(stage, config, graph)
            reason = f"passes with {len(config.float_layers)} of {len(layers)} layers in float"
        cost = "" if candidate is first else self._compare_latencies(first, candidate)
        entries = layer_entries(layers, noise, candidate.config.in_float(layers)) if noise else ()
        return Outcome(candidate, tuple(self._tried), reason, cost, entries)

    def _noise(self, candidate: Candidate) -> list[float]:
        """Compute the noise-to-signal ratio of each layer's output on a part of the images."""
        pixels, config = self._validation.images.pixels, candidate.config
        pixels = pixels[: max(batch_size(pixels, ERROR_IMAGES, ERROR_BYTES), min(ERROR_IMAGES, LEAST_ERROR_IMAGES))]
        graph = self._quantizer.build(replace(config, qoperator=False)) if config.qoperator else candidate.graph
        return self._quantizer.noise(graph, pixels)

    def _compare_latencies(self, int8: Candidate, mixed: Candidate) -> str:
        engines = self._engines
        pixels = self._validation.images.pixels
        return compare_latencies(engines.load, engines.pack(int8.graph), engines.pack(mixed.graph), pixels)

    def _why_no_further(self, config: QuantConfig, graph: Any) -> str | None:
        """Say why a file with these float layers has no advantage over the fp32 file; ``None`` if it has one."""
        layers = self._quantizer.layers
        share = float_share(layers, config.in_float(layers))
        if share > MOSTLY:
            return f"{share:.0%} of its multiplications would be in float, so that it is hardly faster than fp32"
        own, fp32 = len(self._engines.pack(graph)), self._engines.float_bytes()
        if own >= fp32:
            return f"it would be no smaller than fp32 ({own / 1024:.0f} against {fp32 / 1024:.0f} KiB)"
        return None


def image_counts(available: int) -> tuple[int, ...]:
    """Return the numbers of calibration images to try: 100, 500 and 1,000 as available, or all if there are fewer."""
    return tuple(count for count in IMAGE_COUNTS if count <= available) or (available,)
