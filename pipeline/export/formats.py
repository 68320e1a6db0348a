"""The functions that build the formats of ``pipeline.formats``: from the network to a graph."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import onnx as onnx_format
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.documents.manifest import Decision
from pipeline.documents.out_of_fold import OutOfFold
from pipeline.documents.quantize_aware import QuantizeAware
from pipeline.export import fp16_dynamic, onnx, tflite
from pipeline.export.confidence import divisors
from pipeline.export.familiarity import telling
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
from runtime.drift.statistics import look_of
from runtime.engines.registry import default_engine, file_formats, find
from runtime.spec import ModelSpec
from runtime.text import say

LOOKED_AT = 1000


@dataclass(frozen=True)
class ExportInputs:
    """What every file is made from.

    Attributes:
        deployable: the network.
        calibration: images that fix the int8 ranges.
        validation: images that every choice is made on.
        criteria: what quantization may cost.
        quick: take the default candidate rather than search.
        preprocessing: how photos become squares; stretched by default.
        costs: of the stages so far.
        keep: share (0-1) of the validation images that the files are to know; see ``pipeline.export.Settings``.
        precision: share (0-1) of the confident answers that is to be right; ``None``: every answer is confident.
        fitted_temperature: whether the network's temperature was fitted on the validation images.
        out_of_fold: what cross-validation found in training, if it was done.
        trained: what quantization-aware training left, if it was done.
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
        """The float ONNX graph."""
        return onnx.convert(self.deployable)

    @cached_property
    def fp32_onnx(self) -> onnx_format.ModelProto:
        """The deployable float ONNX graph."""
        return onnx.fp32(self.network, self.deployable.network_scaling)

    @cached_property
    def fp32_tflite(self) -> bytes:
        """The deployable float flatbuffer."""
        return tflite.convert(self.deployable)

    @cached_property
    def scored(self) -> Validation:
        """The validation images with Keras's answers, and with the thresholds of a multi-label model."""
        expected, marks = self.deployable.probabilities(self.validation.pixels), self.validation.marks
        thresholds = None
        if self.deployable.multi_label:
            chosen = self.deployable.thresholds or (None if marks is None else best_thresholds(expected, marks))
            thresholds = chosen or self.deployable.label_thresholds
        return Validation(self.validation, expected, self.criteria, thresholds)

    @property
    def learned(self) -> Learned | None:
        """The ranges that quantization-aware training left."""
        return None if self.trained is None else Learned(self.deployable, self.trained)

    @cached_property
    def divisors(self) -> NDArray[np.float64]:
        """See ``pipeline.export.confidence``."""
        return divisors(self.deployable, self.scored.expected, self.validation, fitted=self.fitted_temperature)

    @cached_property
    def looks(self) -> list[dict[str, float]]:
        """How the validation images look, or one to two thousand of them."""
        step = max(len(self.validation) // LOOKED_AT, 1)
        return [look_of(pixels) for pixels in self.validation.pixels[::step]]

    def spec(self, precision: str) -> ModelSpec:
        """The spec of a file, but for its accuracy and provenance."""
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
    """A graph as the converter built it, and the search that chose it, if there was one."""

    graph: Any
    outcome: Outcome | None = None

    @property
    def decision(self) -> Decision | None:
        """The search as the manifest holds it."""
        if self.outcome is None:
            return None
        winner = self.outcome.winner
        return Decision(
            config=winner.config.entry(),
            summary=str(winner.config),
            passed=winner.judgment.passed,
            candidates=self.outcome.tried,
            reason=self.outcome.reason,
        )


def load_bytes(content: bytes) -> Predict:
    """The default engine of a file's bytes, on one thread."""
    kinds = sorted(file_formats().values(), key=lambda kind: not kind.magic)
    suffix = next(kind.suffix for kind in kinds if content.startswith(kind.magic, kind.offset))
    with log_hidden():
        return find(str(default_engine(suffix)))(content, f"candidate{suffix}", 1)


def fp32_onnx(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """The graph in float."""
    return ExportedGraph(inputs.fp32_onnx)


def fp32_tflite(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """The graph in float."""
    return ExportedGraph(inputs.fp32_tflite)


def fp16_tflite(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """The graph with weights in half precision."""
    return ExportedGraph(fp16_dynamic.fp16_tflite(inputs.deployable))


def dynamic_onnx(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """The graph with int8 weights."""
    return ExportedGraph(fp16_dynamic.dynamic_onnx(inputs.network, inputs.deployable.network_scaling))


def dynamic_tflite(inputs: ExportInputs, _: Format) -> ExportedGraph:
    """The graph with int8 weights."""
    return ExportedGraph(fp16_dynamic.dynamic_tflite(inputs.deployable))


def int8_onnx(inputs: ExportInputs, row: Format) -> ExportedGraph:
    """The best int8 graph."""
    counts, pixels = image_counts(len(inputs.calibration)), inputs.calibration.pixels
    deployable = inputs.deployable.for_int8
    network = inputs.network if deployable is inputs.deployable else onnx.convert(deployable)
    with inputs.costs.stage(f"{row.file}: calibration"):
        quantizer = OnnxQuantizer(network, deployable.network_scaling, pixels, counts, learned=inputs.learned)
    return _searched(inputs, quantizer, row, lambda: inputs.fp32_onnx)


def int8_tflite(inputs: ExportInputs, row: Format) -> ExportedGraph:
    """The best int8 graph."""
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
        lambda graph: telling(graph, row, inputs.keep),
    )
    with inputs.costs.stage(f"{row.file}: search"):
        search = Search(quantizer, inputs.scored, engines)
        if inputs.trained is not None:
            outcome = search.as_trained(inputs.trained, counts[-1])
        else:
            outcome = search.run(len(inputs.calibration), quick=inputs.quick)
    if outcome.price:
        layers = len(outcome.winner.config.float_layers)
        say(f"{row.file}: {layers} of its layers in float: {outcome.price}")
    return ExportedGraph(outcome.winner.graph, outcome)
