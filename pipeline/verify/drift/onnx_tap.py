"""Read the intermediate tensors of an ONNX file from a copy of the graph that has them as outputs."""

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from pipeline.verify.drift.taps import Lineage, Values
from runtime.engines.onnxruntime import EXACT_INT8

PRODUCER_SCALES = {
    "QuantizeLinear": (1, 2),
    "QLinearConv": (6, 7),
    "QLinearMatMul": (6, 7),
    "QGemm": (7, 8),
    "QLinearAdd": (6, 7),
    "QLinearMul": (6, 7),
    "QLinearConcat": (0, 1),
    "QLinearAveragePool": (3, 4),
    "QLinearGlobalAveragePool": (3, 4),
    "QLinearSigmoid": (3, 4),
    "QLinearLeakyRelu": (3, 4),
    "QLinearSoftmax": (3, 4),
}
"""Operator -> indices of the inputs that are the scale and the zero point of its output."""
PASSING = {"Reshape", "Transpose", "MaxPool", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Relu", "Clip", "Pad"}
"""Operators whose output has the scale and zero point of their first input."""
EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))

Quantization = tuple[NDArray[np.float32], NDArray[np.integer]]


class OnnxTap:
    """The intermediate tensors of an ONNX file, computed by the kernels that run it on the device.

    ONNX Runtime fuses DequantizeLinear, operator, QuantizeLinear into one integer operator. Making the float tensor
    inside such a group an output would prevent that, so only the quantized result of the group is read.
    """

    def __init__(self, content: bytes) -> None:
        model = onnx.load_model_from_string(content)
        graph = model.graph
        self._input = graph.input[0].name
        self._quantization = _quantizations(graph)
        self.lineage = Lineage()
        self.lineage.add(self._input, ())
        for node in graph.node:
            if any(source in self.lineage.order for source in node.input):
                for result in node.output:
                    self.lineage.add(result, node.input)
        self._names = [name for name in _readable(graph) if name in self.lineage.order]
        declared = {output.name for output in graph.output}
        # A name is enough: ONNX Runtime infers the type, also for its own (com.microsoft) operators.
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._names if name not in declared)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry(*EXACT_INT8)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, pixels: NDArray[np.uint8]) -> Values:
        """Return the tensors that are float32, or 8-bit with a known scale (dequantized), for uint8 (N, H, W, 3)."""
        values = {}
        for name, value in zip(
            self._names, self._session.run(self._names, {self._input: np.ascontiguousarray(pixels)}), strict=True
        ):
            if value.dtype == np.float32:
                values[name] = value
            elif value.dtype in EIGHT_BITS and name in self._quantization:
                values[name] = _dequantized(value, *self._quantization[name])
        return {name: value for name, value in values.items() if value.ndim and len(value) == len(pixels)}


def _dequantized(
    values: NDArray[np.integer], scale: NDArray[np.float32], zero_point: NDArray[np.integer]
) -> NDArray[np.float32]:
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def _readable(graph: onnx.GraphProto) -> list[str]:
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for source in node.input:
            readers.setdefault(source, []).append(node)

    def goes_into_quantization(name: str) -> bool:
        after = readers.get(name, [])
        return bool(after) and all(
            node.op_type == "QuantizeLinear"
            or (node.op_type in ("Relu", "Clip") and goes_into_quantization(node.output[0]))
            for node in after
        )

    return [
        result
        for node in graph.node
        if node.op_type != "DequantizeLinear"
        for result in node.output
        if result and not goes_into_quantization(result)
    ]


def _quantizations(graph: onnx.GraphProto) -> dict[str, Quantization]:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, Quantization] = {}

    def note(name: str, node: onnx.NodeProto, positions: tuple[int, int]) -> None:
        names = [node.input[position] if position < len(node.input) else "" for position in positions]
        if names[0] not in constants:
            return
        scale = onnx.numpy_helper.to_array(constants[names[0]])
        zero = onnx.numpy_helper.to_array(constants[names[1]]) if names[1] in constants else np.zeros((), np.uint8)
        if scale.size == 1:
            found[name] = (scale.reshape(()), zero.reshape(()))

    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            note(node.input[0], node, (1, 2))
    for node in graph.node:
        if node.op_type in PRODUCER_SCALES:
            note(node.output[0], node, PRODUCER_SCALES[node.op_type])
        elif node.op_type in PASSING and node.input[0] in found:
            found.setdefault(node.output[0], found[node.input[0]])
    return found
