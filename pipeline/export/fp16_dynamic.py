"""Smaller files without calibration: float16 weights, or int8 weights with float activations."""

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
"""Kernels with fewer weights stay in float: their scales would take more bytes than int8 saves."""


def fp16_tflite(deployable: Deployable) -> bytes:
    """Make a flatbuffer with float16 weights, half the size, which the engine converts to float32 on loading."""
    with log_hidden():
        made = converter(deployable, tf.uint8, deployable.network_scaling)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.target_spec.supported_types = [tf.float16]
        content: bytes = made.convert()
    return content


def dynamic_tflite(deployable: Deployable) -> bytes:
    """Make a flatbuffer with int8 weights; activations are float32, and quantized at run time by integer kernels."""
    with log_hidden():
        made = converter(deployable, tf.uint8, deployable.network_scaling)
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        content: bytes = made.convert()
    return content


def dynamic_onnx(network: onnx.ModelProto, scaling: PixelScaling) -> onnx.ModelProto:
    """Make an ONNX graph with int8 weights; dense layers quantize their input at run time, convolutions use float.

    ONNX Runtime's ConvInteger takes unsigned weights only, and is slower than its float convolution; so a
    convolution's weights are int8 in the file and float32 in memory.
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
    """Quantize weights (O, ...) symmetrically to int8; also return the scale of each output channel, float32 (O,)."""
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    steps = np.rint(weights / scales.reshape(-1, *[1] * (weights.ndim - 1)))
    return steps.astype(np.int8), scales
