"""Bias correction: subtract from a layer's bias the mean shift of its outputs that rounding of its weights causes.

A weight is rounded once, so its error is the same for every image. Multiplied by the mean of its input, the error
shifts the mean of an output channel, and all later layers receive this shift (Nagel et al., Data-Free Quantization
through Weight Equalization and Bias Correction, 2019, section 4.2). Here the means are those of the float network on
the calibration images, not of batch normalization: one pass gives them for all layers, whatever operators lie between.
Biases of int8 layers are int32 in steps of input scale times weight scale, so the correction itself is rounded finely.
The file's size and speed do not change.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

Means = Mapping[str, NDArray[np.float64]]
"""Mean of each of the I channels of a float tensor over the calibration images, (I,), by the tensor's name."""

ONNX_KINDS = ("Conv", "Gemm")
BIAS_INPUTS = {"QLinearConv": 8, "QGemm": 6}
"""Index of the bias among the inputs of a quantized operator."""
SCALE_INPUTS = (1, 4)
"""Indices of the scales of input and weight, in both operators."""
TFLITE_KINDS = (
    schema.BuiltinOperator.CONV_2D,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D,
    schema.BuiltinOperator.FULLY_CONNECTED,
)


def mean_error(error: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the mean shift of each output channel that rounding causes, (O,).

    Args:
        error: rounded weights minus exact weights, summed over height and width of the kernel, (O, I / groups).
        means: means of the input's channels, (I,).
    """
    outputs, inputs = error.shape
    groups = len(means) // inputs
    own = means.reshape(groups, inputs).repeat(outputs // groups, axis=0)
    shift: NDArray[np.float64] = (error * own).sum(axis=1)
    return shift


def onnx_inputs(network: onnx.ModelProto) -> dict[str, int]:
    """Return the names of the tensors whose means ``correct_onnx`` needs, with the axis of their channels."""
    return {node.input[0]: 1 for node in network.graph.node if node.op_type in ONNX_KINDS}


def correct_onnx(quantized: onnx.ModelProto, network: onnx.ModelProto, means: Means) -> None:
    """Correct, in place, the biases of a graph that ONNX Runtime's quantizer made, in QDQ or QOperator form.

    Layers in float, without a bias, or with a bias that several layers share are not changed.

    Args:
        quantized: the quantized graph; its constants must have the names that the quantizer gave them.
        network: the float graph that was quantized.
        means: channel means of the float graph's tensors, of those in ``onnx_inputs`` at least.
    """
    exact = {constant.name: constant for constant in network.graph.initializer}
    rounded = {constant.name: constant for constant in quantized.graph.initializer}
    bias_steps = _bias_steps(quantized, rounded)
    uses = Counter(name for node in network.graph.node for name in node.input)
    for node in network.graph.node:
        if node.op_type not in ONNX_KINDS or len(node.input) < 3 or node.input[0] not in means:
            continue
        weight, bias = node.input[1], f"{node.input[2]}_quantized"
        names = [f"{weight}_quantized", f"{weight}_scale", f"{weight}_zero_point"]
        if uses[node.input[2]] > 1 or bias not in bias_steps or not all(name in rounded for name in names):
            continue
        values, scale, zero_point = (numpy_helper.to_array(rounded[name]) for name in names)
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        by_column = node.op_type == "Gemm" and not transposed
        dequantized = _dequantized(values, scale, zero_point, axis=1 if by_column else 0)
        error = dequantized - numpy_helper.to_array(exact[weight])
        error = error.T if by_column else error.reshape(*error.shape[:2], -1).sum(axis=2)
        shift = mean_error(error, means[node.input[0]])
        corrected = _corrected(numpy_helper.to_array(rounded[bias]), bias_steps[bias], shift)
        rounded[bias].CopyFrom(numpy_helper.from_array(corrected, bias))


def _bias_steps(quantized: onnx.ModelProto, constants: Mapping[str, onnx.TensorProto]) -> dict[str, NDArray[Any]]:
    """Return the scale of each int32 bias, by the bias's name."""
    steps = {}
    for node in quantized.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            steps[node.input[0]] = numpy_helper.to_array(constants[node.input[1]])
        elif node.op_type in BIAS_INPUTS and len(node.input) > BIAS_INPUTS[node.op_type]:
            of_input, of_weight = (numpy_helper.to_array(constants[node.input[number]]) for number in SCALE_INPUTS)
            steps[node.input[BIAS_INPUTS[node.op_type]]] = of_input * of_weight
    return steps


def tflite_inputs(calibrated: bytes) -> dict[str, int]:
    """Return the names of the tensors whose means ``correct_tflite`` needs, with the axis of their channels."""
    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(calibrated))
    tensors = flatbuffer.subgraphs[0].tensors
    return {tensors[operator.inputs[0]].name.decode(): -1 for operator in _weighted(flatbuffer)}


def correct_tflite(content: bytes, calibrated: bytes, means: Means) -> bytes:
    """Copy a flatbuffer that TensorFlow's quantizer made, with corrected biases.

    Layers in float and layers without a bias are not changed.

    Args:
        content: the quantized flatbuffer.
        calibrated: the float flatbuffer that was quantized; the outputs of its operators have the same names.
        means: channel means of the float flatbuffer's tensors, of those in ``tflite_inputs`` at least.
    """
    exact, rounded = (flatbuffer_utils.convert_bytearray_to_object(bytearray(part)) for part in (calibrated, content))
    tensors, by_name = exact.subgraphs[0].tensors, rounded.subgraphs[0].tensors
    originals = {tensors[operator.outputs[0]].name: operator for operator in _weighted(exact)}
    for operator in _weighted(rounded):
        original = originals.get(by_name[operator.outputs[0]].name)
        if original is None or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        source = tensors[original.inputs[0]].name.decode()
        weight, bias = by_name[operator.inputs[1]], by_name[operator.inputs[2]]
        if source not in means or (weight.type, bias.type) != (schema.TensorType.INT8, schema.TensorType.INT32):
            continue
        parts, axis = weight.quantization, weight.quantization.quantizedDimension
        values = _values(rounded, weight, np.int8)
        dequantized = _dequantized(values, np.array(parts.scale), np.array(parts.zeroPoint), axis)
        error = dequantized - _values(exact, tensors[original.inputs[1]], np.float32)
        if _kind(rounded, operator) == schema.BuiltinOperator.DEPTHWISE_CONV_2D:
            error = error.sum(axis=(0, 1, 2))[:, np.newaxis]
        else:
            error = error.sum(axis=tuple(range(1, error.ndim - 1)))
        if len(means[source]) % error.shape[1]:  # a dense layer on a flattened feature map
            continue
        steps, step = _values(rounded, bias, np.int32), np.array(bias.quantization.scale)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(_corrected(steps, step, mean_error(error, means[source])).tobytes(), np.uint8)
        rounded.buffers.append(buffer)  # a new buffer, because equal constants share one
        bias.buffer = len(rounded.buffers) - 1
    return bytes(flatbuffer_utils.convert_object_to_bytearray(rounded))


def _weighted(flatbuffer: schema.ModelT) -> Iterator[Any]:
    return (operator for operator in flatbuffer.subgraphs[0].operators if _kind(flatbuffer, operator) in TFLITE_KINDS)


def _kind(flatbuffer: schema.ModelT, operator: Any) -> int:
    kind: int = flatbuffer.operatorCodes[operator.opcodeIndex].builtinCode
    return kind


def _values(flatbuffer: schema.ModelT, tensor: Any, dtype: type[np.generic]) -> NDArray[Any]:
    data = np.asarray(flatbuffer.buffers[tensor.buffer].data, np.uint8).tobytes()
    return np.frombuffer(data, dtype).reshape(tensor.shape)


def _dequantized(values: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any], axis: int) -> NDArray[np.float64]:
    """Return the values of int8 weights, float64; ``axis`` is that of the channels, used if each has its own scale."""
    shape = [1] * values.ndim
    shape[axis] = -1
    offset, step = (part.astype(np.float64).reshape(shape if part.size > 1 else ()) for part in (zero_point, scale))
    dequantized: NDArray[np.float64] = (values.astype(np.float64) - offset) * step
    return dequantized


def _corrected(steps: NDArray[np.int32], step: NDArray[Any], shift: NDArray[np.float64]) -> NDArray[np.int32]:
    """Subtract a real-valued shift from an int32 bias of scale ``step``; round to int32."""
    bounds = np.iinfo(np.int32)
    less = np.rint(steps - shift / step.astype(np.float64))
    return np.clip(less, bounds.min, bounds.max).astype(np.int32)
