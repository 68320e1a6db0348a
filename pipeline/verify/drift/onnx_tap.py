"""The intermediate values of an ONNX file: a copy of the graph that gives all of them as outputs."""

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from pipeline.verify.drift.taps import Lineage, Values, dequantize
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
"""Which inputs of an operator are the scale and zero point of its output."""
PASSING = {"Reshape", "Transpose", "MaxPool", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Relu", "Clip", "Pad"}
"""Operators whose output is quantized as their first input is."""
EIGHT_BITS = (np.dtype(np.int8), np.dtype(np.uint8))

Quantization = tuple[NDArray[np.float32], NDArray[np.integer]]


class OnnxTap:
    """An ONNX file with every value readable, run by the kernels that run it on the device.

    ONNX Runtime makes one integer operator of dequantize, compute, quantize; a float value in the midst of such a
    group would keep it from that, so of those groups the quantized result alone is read.
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
        # A name is enough: ONNX Runtime infers the type, of its own operators too.
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in self._names if name not in declared)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry(*EXACT_INT8)
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, pixels: NDArray[np.uint8]) -> Values:
        """Every value that is a float, or eight bits with a known scale."""
        values = {}
        for name, value in zip(
            self._names, self._session.run(self._names, {self._input: np.ascontiguousarray(pixels)}), strict=True
        ):
            if value.dtype == np.float32:
                values[name] = value
            elif value.dtype in EIGHT_BITS and name in self._quantization:
                values[name] = dequantize(value, *self._quantization[name])
        return {name: value for name, value in values.items() if value.ndim and len(value) == len(pixels)}


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
