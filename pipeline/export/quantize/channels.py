"""A faster subclass of ONNX Runtime's QDQ quantizer, which quantizes all channels of a weight at once.

ONNX Runtime's quantizer loops over channels in Python, twice: for a graph of 22,000 channels these loops took 1.5 of
1.7 seconds. The results are bit-identical.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization.base_quantizer import QuantizationParams
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer, QDQTensorQuantizedValue
from onnxruntime.quantization.quant_utils import (
    TENSOR_NAME_QUANT_SUFFIX,
    QuantizedValue,
    QuantizedValueType,
    add_dequant_output_suffix,
    add_dequant_suffix,
    get_qmin_qmax_for_qType,
)

INT8 = onnx.TensorProto.INT8
LOWEST, HIGHEST = -128, 127


class ChannelsTogether(QDQQuantizer):  # type: ignore[misc]
    """A ``QDQQuantizer`` that quantizes the channels of a weight at once; the graphs are identical."""

    tensors_to_quantize: dict[str, Any]

    def _calc_initializer_quant_params(self) -> dict[str, QuantizationParams]:
        """Scale and zero point of every constant, by its name."""
        everything: dict[str, Any] = self.tensors_to_quantize
        weights = {
            constant.name: constant
            for constant in self.model.initializer()
            if constant.name in everything and self._is_by_channel(constant)
        }
        self.tensors_to_quantize = {name: found for name, found in everything.items() if name not in weights}
        params: dict[str, QuantizationParams] = super()._calc_initializer_quant_params()
        self.tensors_to_quantize = everything
        lowest, highest = get_qmin_qmax_for_qType(INT8, self.reduce_range, symmetric=True)
        for name, constant in weights.items():
            axis = everything[name].axis % len(constant.dims)
            scale = channel_scales(onnx.numpy_helper.to_array(constant), axis, int(highest) - int(lowest))
            zero = np.zeros(len(scale), np.int8)
            params[name] = QuantizationParams(zero_point=zero, scale=scale, quant_type=INT8, axis=axis)
        return params

    def _is_by_channel(self, constant: onnx.TensorProto) -> bool:
        tensor = self.tensors_to_quantize[constant.name]
        return (
            tensor.axis is not None
            and constant.data_type == onnx.TensorProto.FLOAT
            and self.weight_qType == INT8
            and constant.name not in self.tensor_quant_overrides
        )

    def _add_qdq_nodes_for_initializer(self, weight_proto: onnx.TensorProto) -> None:
        """Replace a constant by its int8 values and a DequantizeLinear."""
        name, axis = weight_proto.name, self.initializer_quant_params[weight_proto.name].get("axis")
        if axis is None or name in self.quantized_value_map or not self._is_by_channel(weight_proto):
            super()._add_qdq_nodes_for_initializer(weight_proto)
            return
        params = self.initializer_quant_params[name]
        constants = self._make_scale_zp_initializers(name, params)
        names = (constants.scale.name, constants.zero_point.name)
        steps = in_steps(onnx.numpy_helper.to_array(weight_proto), axis, params["scale"])
        quantized, dequantized = f"{name}{TENSOR_NAME_QUANT_SUFFIX}", add_dequant_output_suffix(name)
        self.model.replace_input_of_all_nodes(name, dequantized)
        self.model.add_initializer(onnx.numpy_helper.from_array(steps, quantized))
        self._create_dq_node(quantized, dequantized, add_dequant_suffix(name), *names, axis=axis)
        value = QuantizedValue(name, quantized, *names, QuantizedValueType.Initializer, axis=axis)
        self.quantized_value_map[name] = QDQTensorQuantizedValue(value, None, None)


def channel_scales(weights: NDArray[np.float32], axis: int, steps: int) -> NDArray[np.float32]:
    """Scale of each channel, float32 (C,): its largest magnitude is ``steps`` / 2 scales; 1 for channels of zeros."""
    largest = np.abs(_by_channel(weights, axis)).max(axis=1).astype(np.float64)
    scales = 2 * largest / steps
    scales[scales < np.finfo(np.float32).tiny] = 1.0
    result: NDArray[np.float32] = scales.astype(np.float32)
    return result


def in_steps(weights: NDArray[np.float32], axis: int, scales: NDArray[np.float32]) -> NDArray[np.int8]:
    """Divide weights by the scale of their channel, rounded half to even, int8."""
    shape: list[Any] = [1] * weights.ndim
    shape[axis] = -1
    steps: NDArray[np.int8] = (weights / scales.reshape(shape)).round().clip(LOWEST, HIGHEST).astype(np.int8)
    return steps


def _by_channel(weights: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    return np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
