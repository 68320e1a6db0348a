"""Build int8 ONNX graphs: activation statistics are collected once, then any number of configs can be built."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorData, TensorsData
from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer
from onnxruntime.quantization.quant_utils import (
    QuantizationMode,
    QuantizedValue,
    QuantizedValueType,
    save_and_reload_model_with_shape_infer,
)

from pipeline.export import rewrites
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.quantize.bias_correction import correct_onnx, onnx_inputs
from pipeline.export.quantize.channels import ChannelsTogether
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.learned import Learned
from pipeline.export.quantize.mixed_precision import noise_to_signal
from pipeline.export.quantize.onnx_layers import COMPUTING, PASSING, groups, is_last_sigmoid, layers_of, value_counts
from pipeline.export.quantize.ranges import Activations, Statistics, T, workers_and_threads
from pipeline.system.quiet import log_hidden

GROUP = 4
"""Pixels per group in the int8 graph; of 1, 2, 4 and 8 the fastest for the CIFAR-10 network."""

BATCH_BYTES, GROUP_BYTES = 16 * 1024 * 1024, 128 * 1024 * 1024
"""Approximate size of the activations of a batch, and size of one image's activations that ``noise`` reads per pass."""
ACTIVATIONS_A_VALUE = 32
"""Estimated number of float activations per value of the image."""

STATIC = True
TYPES = (QuantType.QInt8, QuantType.QUInt8)
"""Data types of weights and of activations."""

DEQUANTIZED = "_DequantizeLinear_Output"


class OnnxQuantizer:
    """A quantizer of one network with any config.

    Args:
        network: the clean graph, from ``image``, float32 (N, H, W, 3), to probabilities, float32 (N, C).
        scaling: from pixels to the network's input.
        pixels: the calibration images, uint8 (N, H, W, 3).
        counts: the values that ``QuantConfig.images`` may have.
        group: number of neighboring pixels that the first convolution reads as one, if possible.
        learned: the ranges of quantization-aware training, if there was one.
    """

    changes: tuple[str, ...] = (
        "per_channel",
        "float_softmax",
        "float_head",
        "symmetric",
        "qoperator",
        "reduce_range",
    )
    slow: tuple[str, ...] = ("symmetric",)
    """With symmetric activations ONNX Runtime takes 1.28 times as long for the CIFAR-10 network."""

    def __init__(  # noqa: PLR0913, PLR0917 - everything that determines the numbers in a graph
        self,
        network: onnx.ModelProto,
        scaling: PixelScaling,
        pixels: NDArray[np.uint8],
        counts: tuple[int, ...],
        group: int = GROUP,
        learned: Learned | None = None,
    ) -> None:
        self._scaling = scaling
        self._network = onnx.ModelProto()
        self._network.CopyFrom(network)
        if group > 1:
            rewrites.group_pixels(self._network, group)
        with log_hidden():
            self._network = save_and_reload_model_with_shape_infer(self._network)
        averaged = onnx_inputs(self._network)
        self._statistics = Statistics(partial(self._float_activations, pixels), counts, averaged)
        if learned is not None:
            self._statistics.learned = learned.ranges(pixels, self._float_activations)
        self._last_sigmoids = [node.name for node in self._network.graph.node if is_last_sigmoid(node, network.graph)]
        self.layers = layers_of(self._network.graph)
        if self._last_sigmoids:
            self.changes = tuple(name for name in self.changes if name != "float_softmax")

    def build(self, config: QuantConfig) -> onnx.ModelProto:
        """Build the quantized graph for uint8 pixels, its quantized input if their zero point is an integer."""
        model = self._quantized(config)
        if self._scaling.zero_point is None:
            rewrites.scale_pixels(model, self._scaling)
        else:
            rewrites.take_pixels_as_quantized(model, self._scaling)
        if config.bias_correction:
            correct_onnx(model, self._network, self._statistics.means)
        onnx.checker.check_model(model, full_check=True)
        return model

    def correct(self, _config: QuantConfig, graph: onnx.ModelProto) -> onnx.ModelProto:
        """Return a copy of a graph from ``build`` with corrected biases, without quantizing again."""
        model = onnx.ModelProto()
        model.CopyFrom(graph)
        correct_onnx(model, self._network, self._statistics.means)
        return model

    def noise(self, graph: onnx.ModelProto, pixels: NDArray[np.uint8]) -> list[float]:
        """Compute the noise-to-signal ratio of every layer's output in a graph in QDQ form."""
        carried = {name for node in graph.graph.node for name in node.output}

        def batches(outputs: list[str]) -> Iterator[tuple[Activations, Activations]]:
            names = [name + DEQUANTIZED if name + DEQUANTIZED in carried else name for name in outputs]
            exact, rounded = _session(self._network, outputs), _session(graph, names)
            for part in _batches(pixels):
                floats = _run(exact, outputs, rewrites.IMAGE, self._scaling(part))
                steps = _run(rounded, names, rewrites.PIXELS, part)
                yield floats, dict(zip(outputs, steps.values(), strict=True))

        found = groups([layer.output for layer in self.layers], value_counts(self._network.graph), GROUP_BYTES)
        return [ratio for outputs in found for ratio in noise_to_signal(outputs, batches(outputs))]

    def _float_activations(self, pixels: NDArray[np.uint8], reduce: Callable[[Activations], T]) -> Iterator[T]:
        floats = _float_tensors(self._network)
        names = [name for node in self._network.graph.node for name in node.output if name in floats]
        workers, threads = workers_and_threads(pixels)
        sessions = [_session(self._network, names, threads) for _ in range(workers)]

        def reduced(session: onnxruntime.InferenceSession, part: NDArray[np.uint8]) -> T:
            return reduce(_run(session, names, rewrites.IMAGE, self._scaling(part)))

        with ThreadPoolExecutor(workers) as pool:
            parts = list(_batches(pixels))
            for start in range(0, len(parts), workers):
                yield from pool.map(reduced, sessions, parts[start : start + workers])

    def _quantized(self, config: QuantConfig) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self._network)
        scale, zero_point = _input_quantization(self._scaling)
        ends = ((0 - int(zero_point)) * float(scale), (255 - int(zero_point)) * float(scale))
        ranges = self._statistics.ranges(config) | {rewrites.IMAGE: ends}
        data = {
            name: TensorData(lowest=np.array(low, np.float32), highest=np.array(high, np.float32))
            for name, (low, high) in ranges.items()
        }
        tensors = TensorsData(CalibrationMethod.MinMax, data)
        excluded = [name for layer in config.in_float(self.layers) for name in layer.nodes] + self._last_sigmoids
        operators = [*COMPUTING, *PASSING, *(() if config.float_softmax else ("Softmax",))]
        options = {
            "ForceQuantizeNoInputCheck": True,
            "ActivationSymmetric": config.symmetric,
            "TensorQuantOverrides": {rewrites.IMAGE: [{"scale": scale, "zero_point": zero_point}]},
        }
        common: tuple[Any, ...] = (tensors, [], excluded, operators, options)
        with log_hidden():
            if config.qoperator:
                quantizer = ONNXQuantizer(
                    model,
                    config.per_channel,
                    config.reduce_range,
                    QuantizationMode.QLinearOps,
                    STATIC,
                    *TYPES,
                    *common,
                )
                _start_quantized(quantizer, scale, zero_point)
            else:
                quantizer = ChannelsTogether(model, config.per_channel, config.reduce_range, *TYPES, *common)
            quantizer.quantize_model()
            quantizer.model.topological_sort()
        quantized: onnx.ModelProto = quantizer.model.model
        return quantized


def _input_quantization(scaling: PixelScaling) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Scale and zero point of the quantized input: those of pixels, or of the range of all scaled pixel values."""
    own = scaling.zero_point
    if own is not None:
        return np.array(scaling.scale[0], np.float32), np.array(own, np.uint8)
    extremes = scaling(np.array([[0] * 3, [255] * 3], np.uint8))
    low, high = min(float(extremes.min()), 0.0), max(float(extremes.max()), 0.0)
    scale = (high - low) / 255
    return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)


def _start_quantized(quantizer: ONNXQuantizer, scale: NDArray[np.float32], zero_point: NDArray[np.uint8]) -> None:
    """Make the image a quantized value: the QOperator quantizer quantizes a Reshape only if its input is quantized."""
    quantizer.force_quantize_no_input_check = False
    names = [f"{rewrites.IMAGE}_{part}" for part in ("quantized", "scale", "zero_point")]
    constants = zip((scale, zero_point), names[1:], strict=True)
    quantizer.model.initializer().extend(onnx.numpy_helper.from_array(*constant) for constant in constants)
    quantizer.quantized_value_map[rewrites.IMAGE] = QuantizedValue(rewrites.IMAGE, *names, QuantizedValueType.Input)
    quantizer.new_nodes.append(onnx.helper.make_node("QuantizeLinear", [rewrites.IMAGE, *names[1:]], names[:1]))


def _batches(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield the images in batches whose activations take about ``BATCH_BYTES``."""
    step = max(BATCH_BYTES // (ACTIVATIONS_A_VALUE * 4 * pixels[0].size), 1)
    for start in range(0, len(pixels), step):
        yield pixels[start : start + step]


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    inferred = onnx.shape_inference.infer_shapes(model).graph
    values = (*inferred.value_info, *inferred.output)
    return {value.name for value in values if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}


def _session(model: onnx.ModelProto, outputs: list[str], threads: int = 1) -> onnxruntime.InferenceSession:
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    present = {output.name for output in exposed.graph.output}
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in present)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, names: list[str], source: str, images: NDArray[Any]) -> Activations:
    """Compute tensors of a graph by name, as views of the engine's memory, because copies would double the memory."""
    values = session.run_with_ort_values(names, {source: onnxruntime.OrtValue.ortvalue_from_numpy(images)})
    return {name: np.asarray(np.from_dlpack(value), np.float32) for name, value in zip(names, values, strict=True)}
