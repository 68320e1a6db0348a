"""What export makes: one row a file, from the network to a graph and a way to pack it."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import onnx as onnx_format

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.documents.manifest import Decision
from pipeline.export import fp16_dynamic, ncnn, onnx, tflite
from pipeline.export.load.deployable import Deployable
from pipeline.export.quantize.acceptance import Gate
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.search import Outcome, Predict, Quantizer, Search, Validation, image_counts
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from pipeline.system.quiet import log_hidden
from runtime.engines.litert import LitertBackend
from runtime.engines.ncnn import NcnnBackend
from runtime.engines.onnxruntime import OnnxBackend
from runtime.golden import GoldenSet
from runtime.spec import ModelSpec

Pack = Callable[[Any, ModelSpec, GoldenSet | None], bytes]


@dataclass(frozen=True)
class Material:
    """What every file is made from.

    Attributes:
        deployable: the network.
        calibration: images that fix the int8 ranges.
        validation: images that every choice is made on.
        gate: what quantisation may cost.
        quick: take the default candidate rather than search.
        preprocessing: how photos become squares; stretched by default.
    """

    deployable: Deployable
    calibration: Dataset
    validation: Dataset
    gate: Gate = field(default_factory=Gate)
    quick: bool = False
    preprocessing: ModelSpec | None = None

    @cached_property
    def network(self) -> onnx_format.ModelProto:
        """The float ONNX graph."""
        return onnx.convert(self.deployable)

    @cached_property
    def scored(self) -> Validation:
        """The validation images with Keras's answers."""
        return Validation(self.validation, self.deployable.probabilities(self.validation.pixels), self.gate)

    def spec(self, precision: str) -> ModelSpec:
        """The spec of a file, but for its accuracy and provenance."""
        scaling, network = self.deployable.scaling, self.deployable
        return replace(
            self.preprocessing or ModelSpec(network.side, network.class_names),
            precision=precision,
            scale=scaling.scale,
            offset=scaling.offset,
            output="softmax",
            temperature=network.temperature,
        )


@dataclass(frozen=True)
class Product:
    """A graph, how to pack it into a file, and how it was chosen.

    Attributes:
        graph: as the converter built it.
        pack: graph, spec and golden set to the file's bytes.
        precision: the spec's word.
        golden_tolerance: the most that a probability may differ from its golden answer on another processor.
        outcome: the search behind it, for those that have one.
    """

    graph: Any
    pack: Pack
    precision: str
    golden_tolerance: float
    outcome: Outcome | None = None

    @property
    def decision(self) -> Decision | None:
        """The search as the manifest holds it."""
        if self.outcome is None:
            return None
        winner = self.outcome.winner
        return Decision(
            recipe=winner.recipe.entry(),
            summary=str(winner.recipe),
            passed=winner.judgement.passed,
            candidates=tuple(candidate.entry() for candidate in self.outcome.candidates),
        )


FP32_GOLDEN, FP16_GOLDEN, INT8_GOLDEN = 1e-5, 1e-3, 0.05
"""Processors round the rescaled sums of int8 differently: a step of 1/256 here and there, which a softmax spreads."""


def load_bytes(content: bytes) -> Predict:
    """The engine that runs a file's bytes, on one thread."""
    if content[4:8] == b"TFL3":
        with log_hidden():
            return LitertBackend(content, "candidate.tflite", 1)
    if zipfile.is_zipfile(io.BytesIO(content)):
        return NcnnBackend(content, "candidate.ncnn", 1)
    return OnnxBackend(content, "candidate.onnx", 1)


def _fp32_onnx(material: Material) -> Product:
    graph = onnx.fp32(material.network, material.deployable.network_scaling)
    return Product(graph, onnx.with_metadata, "fp32", FP32_GOLDEN)


def _fp32_tflite(material: Material) -> Product:
    return Product(tflite.convert(material.deployable), tflite.with_metadata, "fp32", FP32_GOLDEN)


def _fp16_tflite(material: Material) -> Product:
    return Product(fp16_dynamic.fp16_tflite(material.deployable), tflite.with_metadata, "fp16", FP16_GOLDEN)


def _dynamic_onnx(material: Material) -> Product:
    graph = fp16_dynamic.dynamic_onnx(material.network, material.deployable.network_scaling)
    return Product(graph, onnx.with_metadata, "dynamic", INT8_GOLDEN)


def _dynamic_tflite(material: Material) -> Product:
    return Product(fp16_dynamic.dynamic_tflite(material.deployable), tflite.with_metadata, "dynamic", INT8_GOLDEN)


def _fp32_ncnn(material: Material) -> Product:
    network = material.deployable
    graph = ncnn.convert(material.network, network.side, network.network_scaling)
    return Product(graph, ncnn.with_metadata, "fp32", FP32_GOLDEN)


def _int8_onnx(material: Material) -> Product:
    counts, pixels = image_counts(len(material.calibration)), material.calibration.pixels
    deployable = material.deployable.for_int8
    network = material.network if deployable is material.deployable else onnx.convert(deployable)
    quantizer = OnnxQuantizer(network, deployable.network_scaling, pixels, counts)
    return _searched(material, quantizer, onnx.with_metadata)


def _int8_tflite(material: Material) -> Product:
    counts, pixels = image_counts(len(material.calibration)), material.calibration.pixels
    return _searched(material, TfliteQuantizer(material.deployable, pixels, counts), tflite.with_metadata)


def _searched(material: Material, quantizer: Quantizer, pack: Pack) -> Product:
    spec = material.spec("int8")
    search = Search(quantizer, material.scored, lambda graph: load_bytes(pack(graph, spec, None)))
    outcome = search.run(len(material.calibration), quick=material.quick)
    return Product(outcome.graph, pack, "int8", INT8_GOLDEN, outcome)


RECIPES: dict[str, Callable[[Material], Product]] = {
    artifacts.FP32_ONNX: _fp32_onnx,
    artifacts.INT8_ONNX: _int8_onnx,
    artifacts.FP32_TFLITE: _fp32_tflite,
    artifacts.INT8_TFLITE: _int8_tflite,
    artifacts.FP16_TFLITE: _fp16_tflite,
    artifacts.DYNAMIC_ONNX: _dynamic_onnx,
    artifacts.DYNAMIC_TFLITE: _dynamic_tflite,
    artifacts.FP32_NCNN: _fp32_ncnn,
}
"""Every file that export can write, by its name."""
