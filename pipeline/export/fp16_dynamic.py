"""Smaller files without calibration: half-precision weights, or int8 weights with activations left in float."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import tensorflow as tf
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.onnx import fp32
from pipeline.export.tflite import converter
from pipeline.system.quiet import log_hidden

LEAST_WEIGHTS = 256
"""Kernels with fewer weights stay in float: their scales would outweigh what they save."""


def fp16_tflite(deployable: Deployable) -> bytes:
    """Weights in half precision, made float32 when the file is loaded: half the size, nearly the same numbers."""
    with log_hidden():
        made = converter(deployable, tf.uint8, deployable.network_scaling)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.target_spec.supported_types = [tf.float16]
        content: bytes = made.convert()
    return content


def dynamic_tflite(deployable: Deployable) -> bytes:
    """Weights in int8; activations are float, and quantized for the moment where a kernel computes in integers."""
    with log_hidden():
        made = converter(deployable, tf.uint8, deployable.network_scaling)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        content: bytes = made.convert()
    return content


def dynamic_onnx(network: onnx.ModelProto, scaling: PixelScaling) -> onnx.ModelProto:
    """Weights in int8; dense layers compute in integers by the range of the moment, convolutions in float.

    ONNX Runtime has integer convolutions for unsigned weights only, and they are slower than its float ones; so a
    convolution's weights are int8 in the file and float in memory.
    """
    with tempfile.TemporaryDirectory() as folder, log_hidden():
        path = Path(folder) / "dynamic.onnx"
        quantize_dynamic(
            fp32(network, scaling),
            path,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        graph = onnx.load(path)
    _store_kernels_in_int8(graph)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def _store_kernels_in_int8(model: onnx.ModelProto) -> None:
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kernels = dict.fromkeys(node.input[1] for node in graph.node if node.op_type == "Conv")
    for name in kernels:
        if name not in constants:
            continue
        weights = numpy_helper.to_array(constants[name])
        if weights.size < LEAST_WEIGHTS:
            continue
        steps, scales = quantize_by_channel(weights)
        graph.initializer.remove(constants[name])
        stored = {f"{name}_int8": steps, f"{name}_scale": scales, f"{name}_zero": np.zeros(len(scales), np.int8)}
        graph.initializer.extend(numpy_helper.from_array(value, part) for part, value in stored.items())
        graph.node.insert(0, helper.make_node("DequantizeLinear", list(stored), [name], name=f"{name}_float", axis=0))


def quantize_by_channel(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 steps of weights (O, ...), and the scale of each output channel, float32 (O,)."""
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    steps = np.rint(weights / scales.reshape(-1, *[1] * (weights.ndim - 1)))
    return steps.astype(np.int8), scales
