"""The functions with which ``pipeline.formats`` builds each format: from the network to a graph."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx as onnx_format
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.known import FamiliarityCheck
from pipeline.documents.manifest import Decision
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.documents.quantize_aware import QuantizeAware
from pipeline.export import fp16_dynamic, onnx, tflite
from pipeline.export.confidence import divisors
from pipeline.export.familiarity import check, familiarity_graph, is_wanted
from pipeline.export.load.deployable import Deployable
from pipeline.export.quantize.acceptance import AcceptanceCriteria
from pipeline.export.quantize.answers import Predict
from pipeline.export.quantize.learned import Learned
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.search import Engines, Outcome, Quantizer, Search, image_counts
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from pipeline.export.quantize.validation import Validation
from pipeline.formats import Format
from pipeline.metrics.multi_label import best_thresholds
from pipeline.system.costs import Costs
from pipeline.system.quiet import log_hidden
from runtime.drift.statistics import appearance
from runtime.engines.registry import default_engine, file_formats, find
from runtime.spec import ModelSpec
from runtime.text import say

LOOKED_AT = 1000
"""``ExportInputs.looks`` measures this many images or more, fewer than twice as many."""


@dataclass(frozen=True)
class ExportInputs:
    """The network, the images and the settings from which every file of an export is built.

    Attributes:
        deployable: the network.
        calibration: images from which the int8 ranges are computed.
        validation: images on which every choice is made.
        criteria: the largest loss that an int8 file may have.
        quick: use the default int8 config instead of searching.
        preprocessing: how photos become the network's input; ``None``: stretched.
        costs: time of the stages so far.
        keep: share (0-1) of the validation images to accept as familiar; see ``pipeline.export.Settings``.
        precision: share (0-1) of the confident answers that must be right; ``None``: no confidence threshold.
        fitted_temperature: whether the network's temperature was fitted on the validation images.
        out_of_fold: the result of cross-validation in training, if there was one.
        trained: ranges and config of quantization-aware training, if there was one.
    """

    deployable: Deployable
    calibration: Dataset
    validation: Dataset
    criteria: AcceptanceCriteria = field(default_factory=AcceptanceCriteria)
    quick: bool = False
    preprocessing: ModelSpec | None = None
    costs: Costs = field(default_factory=Costs)
    keep: float | None = None
    precision: float | None = None
    fitted_temperature: bool = False
    out_of_fold: OutOfFold | None = None
    trained: QuantizeAware | None = None

    @cached_property
    def network(self) -> onnx_format.ModelProto:
        """The float ONNX graph of ``deployable.network``, without pixel scaling."""
        return onnx.convert(self.deployable)

    @cached_property
    def fp32_onnx(self) -> onnx_format.ModelProto:
        """The float ONNX graph with pixel scaling: uint8 pixels to probabilities."""
        return onnx.fp32(self.network, self.deployable.network_scaling)

    @cached_property
    def fp32_tflite(self) -> bytes:
        """The float flatbuffer with pixel scaling: uint8 pixels to probabilities."""
        return tflite.convert(self.deployable)

    @cached_property
    def scored(self) -> Validation:
        """The validation images with Keras's answers, and with the thresholds of a multi-label model."""
        expected, multi_hot = self.deployable.probabilities(self.validation.pixels), self.validation.multi_hot
        thresholds = None
        if self.deployable.multi_label:
            chosen = self.deployable.thresholds or (None if multi_hot is None else best_thresholds(expected, multi_hot))
            thresholds = chosen or self.deployable.label_thresholds
        return Validation(self.validation, expected, self.criteria, thresholds)

    @cached_property
    def familiarity(self) -> FamiliarityCheck | None:
        """Whether familiarity tells known images from unknown ones; ``None`` for a multi-label model."""
        if self.deployable.multi_label:
            return None
        return check(self.deployable.logits, self.validation, required=self.keep is not None)

    def with_familiarity(self, graph: Any, row: Format) -> Any | None:
        """Add the familiarity output to a graph of a format; ``None`` if the file is to have none.

        Raises:
            NoSoftmaxError: ``keep`` asks for it, and the graph does not end in a softmax.
        """
        if not is_wanted(row, self.keep) or (self.familiarity is not None and not self.familiarity.written):
            return None
        return familiarity_graph(graph, row, required=self.keep is not None)

    @property
    def learned(self) -> Learned | None:
        """The ranges that quantization-aware training learned; ``None`` without such training."""
        return None if self.trained is None else Learned(self.deployable, self.trained)

    @cached_property
    def divisors(self) -> NDArray[np.float64]:
        """Divisors of the validation images' logits, float64 (N,); see ``pipeline.export.confidence.divisors``."""
        return divisors(self.deployable, self.scored.expected, self.validation, fitted=self.fitted_temperature)

    @cached_property
    def looks(self) -> list[dict[str, float]]:
        """Drift statistics of the validation images, one dict per image; of 1,000 to 1,999 of them in larger sets."""
        step = max(len(self.validation) // LOOKED_AT, 1)
        return [appearance(pixels) for pixels in self.validation.pixels[::step]]

    def spec(self, precision: str) -> ModelSpec:
        """Return the spec of a file, still without accuracy and provenance; ``precision`` is such as ``fp32``."""
        scaling, network = self.deployable.scaling, self.deployable
        return replace(
            self.preprocessing or ModelSpec(network.side, network.class_names, width=network.width),
            precision=precision,
            scale=scaling.scale,
            offset=scaling.offset,
            output="sigmoid" if network.multi_label else "softmax",
            thresholds=self.scored.thresholds,
            temperature=network.temperature,
        )


@dataclass(frozen=True)
class ExportedGraph:
    """A converted graph, and the outcome of the int8 search that chose it, if there was one."""

    graph: Any
    outcome: Outcome | None = None

    @property
    def decision(self) -> Decision | None:
        """The search's outcome in the form that the manifest stores."""
        if self.outcome is None:
            return None
        winner = self.outcome.winner
        return Decision(
            config=winner.config.entry(),
            summary=str(winner.config),
            passed=winner.judgment.passed,
            candidates=self.outcome.tried,
            reason=self.outcome.reason,
            layers=self.outcome.layers,
        )


def load_bytes(content: bytes) -> Predict:
    """Load a model file's bytes into the default engine of its format, on one thread."""
    kinds = sorted(file_formats().values(), key=lambda kind: not kind.magic)
    suffix = next(kind.suffix for kind in kinds if content.startswith(kind.magic, kind.offset))
    with log_hidden():
        return find(str(default_engine(suffix)))(content, f"candidate{suffix}", 1)


def fp32_onnx(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """Return the float32 ONNX graph."""
    return ExportedGraph(inputs.fp32_onnx)


def fp32_tflite(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """Return the float32 flatbuffer."""
    return ExportedGraph(inputs.fp32_tflite)


def fp16_tflite(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """Return the flatbuffer with float16 weights."""
    return ExportedGraph(fp16_dynamic.fp16_tflite(inputs.deployable))


def dynamic_onnx(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """Return the ONNX graph with int8 weights and float activations."""
    return ExportedGraph(fp16_dynamic.dynamic_onnx(inputs.network, inputs.deployable.network_scaling))


def dynamic_tflite(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """Return the flatbuffer with int8 weights and float activations."""
    return ExportedGraph(fp16_dynamic.dynamic_tflite(inputs.deployable))


def int8_onnx(inputs: ExportInputs, row: Format) -> ExportedGraph:
    """Return the int8 ONNX graph that the search chooses."""
    counts, pixels = image_counts(len(inputs.calibration)), inputs.calibration.pixels
    deployable = inputs.deployable.for_int8
    network = inputs.network if deployable is inputs.deployable else onnx.convert(deployable)
    with inputs.costs.stage(f"{row.file}: calibration"):
        quantizer = OnnxQuantizer(network, deployable.network_scaling, pixels, counts, learned=inputs.learned)
    return _searched(inputs, quantizer, row, lambda: inputs.fp32_onnx)


def int8_tflite(inputs: ExportInputs, row: Format) -> ExportedGraph:
    """Return the int8 flatbuffer that the search chooses."""
    counts, pixels = image_counts(len(inputs.calibration)), inputs.calibration.pixels
    with inputs.costs.stage(f"{row.file}: calibration"):
        quantizer = TfliteQuantizer(inputs.deployable, pixels, counts, inputs.learned)
    return _searched(inputs, quantizer, row, lambda: inputs.fp32_tflite)


def _searched(inputs: ExportInputs, quantizer: Quantizer, row: Format, float_graph: Callable[[], Any]) -> ExportedGraph:
    spec, counts = inputs.spec(row.precision.name), image_counts(len(inputs.calibration))
    engines = Engines(
        lambda graph: row.pack(graph, spec, None),
        load_bytes,
        lambda: len(row.pack(float_graph(), inputs.spec("fp32"), None)),
        lambda graph: inputs.with_familiarity(graph, row),
    )
    with inputs.costs.stage(f"{row.file}: search"):
        search = Search(quantizer, inputs.scored, engines)
        if inputs.trained is not None:
            outcome = search.as_trained(inputs.trained, counts[-1])
        else:
            outcome = search.run(len(inputs.calibration), quick=inputs.quick)
    if outcome.latencies:
        layers = len(outcome.winner.config.float_layers)
        say(f"{row.file}: {layers} of its layers in float: {outcome.latencies}")
    return ExportedGraph(outcome.winner.graph, outcome)
