"""The four model files of a network, and measures to compare them with Keras."""

import numpy as np
import onnx

from pipeline import artifacts
from pipeline.export import onnx as export_onnx
from pipeline.export import tflite
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.onnx_int8 import OnnxQuantizer
from pipeline.export.quantize.tflite_int8 import TfliteQuantizer
from runtime.spec import ModelSpec

ORDINARY_DOMAINS = {"", "ai.onnx", "com.microsoft"}
"""What an ordinary onnxruntime wheel runs, on aarch64 as on x86-64."""


def files(deployable, images, network=None):
    """The four files' bytes by name; ``network`` is the ONNX graph if it has been translated already."""
    spec = ModelSpec(deployable.side, deployable.class_names)
    network, scaling = network or export_onnx.convert(deployable), deployable.network_scaling
    config = QuantConfig(images=len(images))
    for_int8 = deployable.for_int8
    clean = network if for_int8 is deployable else export_onnx.convert(for_int8)
    quantized = OnnxQuantizer(clean, for_int8.network_scaling, images, (len(images),)).build(config)
    flatbuffer = TfliteQuantizer(deployable, images, (len(images),)).build(config)
    return {
        artifacts.FP32_ONNX: export_onnx.with_metadata(export_onnx.fp32(network, scaling), spec),
        artifacts.INT8_ONNX: export_onnx.with_metadata(quantized, spec),
        artifacts.FP32_TFLITE: tflite.with_metadata(tflite.convert(deployable), spec),
        artifacts.INT8_TFLITE: tflite.with_metadata(flatbuffer, spec),
    }


def centered_logits(probabilities):
    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-4))
    return logits - logits.mean(axis=1, keepdims=True)


def cosine(first, second):
    first, second = centered_logits(first).ravel(), centered_logits(second).ravel()
    return first @ second / np.sqrt((first @ first) * (second @ second))


def check_graph(content):
    """Check that opset and domains are supported by ordinary wheels, all shapes are known, and no data are external."""
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    known = {value.name for value in (*inferred.graph.value_info, *inferred.graph.output)}
    assert {name for node in model.graph.node for name in node.output} <= known
    assert not model.functions
    assert {entry.domain for entry in model.opset_import} <= ORDINARY_DOMAINS
    assert max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")) <= 18
    assert not any(constant.external_data for constant in model.graph.initializer)
    kinds = [node.op_type for node in model.graph.node]
    assert not {"Shape", "Gather", "Slice", "Cast", "BatchNormalization", "Identity", "Squeeze"} & set(kinds)
    assert kinds.count("Transpose") <= 4
    return kinds


def cosine_by_image(first, second):
    """The mean over images of the cosine of centered logits."""
    first, second = centered_logits(first), centered_logits(second)
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(np.mean((first * second).sum(axis=1) / norms))
