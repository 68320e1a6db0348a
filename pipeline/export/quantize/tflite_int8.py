"""Build int8 TFLite flatbuffers: calibrated once, then quantized with the ranges of any number of configs.

TFLite's converter calibrates by minimum and maximum only, in two steps: it writes a float flatbuffer with a range per
tensor, then quantizes this flatbuffer. Here the two steps are called separately, and the ranges are replaced in
between, so that every calibration method for ONNX also works for TFLite. QOperator and 7-bit weights have no
counterpart in TFLite; 16-bit activations ("16x8") are not used, because such files take no uint8 pixels and run on
unoptimized reference kernels.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.tools import flatbuffer_utils

from pipeline.data.dataset import in_batches
from pipeline.export import tflite
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import UNIT_SCALING, PixelScaling
from pipeline.export.quantize.bias_correction import correct_tflite, tflite_inputs
from pipeline.export.quantize.config import QuantConfig
from pipeline.export.quantize.layer import Layer
from pipeline.export.quantize.learned import Learned
from pipeline.export.quantize.mixed_precision import noise_to_signal
from pipeline.export.quantize.ranges import Activations, Statistics, T, workers_and_threads
from pipeline.export.quantize.tflite_activations import FloatActivations
from pipeline.export.quantize.tflite_pixels import take_pixels_through_float
from pipeline.system.quiet import log_hidden
from pipeline.system.traced_tflite import TracedOperator, TracedTflite

COMPUTING = (
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "ADD",
    "MUL",
    "AVERAGE_POOL_2D",
    "MEAN",
    "CONCATENATION",
    "LOGISTIC",
    "HARD_SWISH",
    "LEAKY_RELU",
)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
SOFTMAX, LOGISTIC = "SOFTMAX", "LOGISTIC"
IDENTITY, FROM_UNIT = PixelScaling((1.0, 1.0, 1.0)), PixelScaling((255.0, 255.0, 255.0))


class TfliteQuantizer:
    """A quantizer of one network with any config.

    Args:
        deployable: the network; its scaling becomes part of the graph.
        pixels: the calibration images, uint8 (N, H, W, 3).
        counts: the values that ``QuantConfig.images`` may have.
        learned: the ranges of quantization-aware training, if there was one.
    """

    changes: tuple[str, ...] = ("per_channel", "float_softmax", "float_head", "symmetric")
    slow: tuple[str, ...] = ()

    def __init__(
        self,
        deployable: Deployable,
        pixels: NDArray[np.uint8],
        counts: tuple[int, ...],
        learned: Learned | None = None,
    ) -> None:
        deployable = deployable.for_int8
        own = deployable.network_scaling
        self._scaling, inside = (own, IDENTITY) if own.zero_point is not None else (UNIT_SCALING, FROM_UNIT.then(own))
        self._calibrated = _calibrate(deployable, self._scaling, inside, pixels[:1])
        self._float = TracedTflite(self._calibrated)
        averaged = tflite_inputs(self._calibrated)
        self._statistics = Statistics(partial(self._float_activations, pixels), counts, averaged)
        if learned is not None:
            self._statistics.learned = learned.ranges(pixels, self._float_activations)
        mean_pixel = pixels.mean(axis=(0, 1, 2)).astype(np.float32)
        self._means = self._statistics.means | {self._float.input.name: self._scaling(mean_pixel).astype(np.float64)}
        self._exponentials = _exponentials(self._float)
        self._last_sigmoid = _last_sigmoid(self._float)
        self.layers = _layers(self._float)
        if self._last_sigmoid:
            self.changes = tuple(name for name in self.changes if name != "float_softmax")

    def build(self, config: QuantConfig) -> bytes:
        """Build the quantized flatbuffer, with built-in operators only; it takes uint8 pixels."""
        with log_hidden():
            content = mlir_quantize(
                self._with_ranges(config),
                disable_per_channel=not config.per_channel,
                denylisted_ops={SOFTMAX} if config.float_softmax else None,
                denylisted_nodes=self._denied(config) or None,
                input_data_type=tf.uint8,
                output_data_type=tf.float32 if config.float_softmax else tf.int8,
            )
        content = bytes(content)
        if config.bias_correction:
            content = correct_tflite(content, self._calibrated, self._means)
        return take_pixels_through_float(content)

    def correct(self, config: QuantConfig, _graph: bytes) -> bytes:
        """Build the flatbuffer of a config again, with corrected biases: its buffers precede that of the pixels."""
        return self.build(config.flipped("bias_correction"))

    def noise(self, graph: bytes, pixels: NDArray[np.uint8]) -> list[float]:
        """Compute the noise-to-signal ratio of every layer's output in a flatbuffer from ``build``."""
        twin, outputs = TracedTflite(graph), [layer.output for layer in self.layers]
        names = set(outputs)
        images = (pixels[number : number + 1] for number in range(len(pixels)))
        return noise_to_signal(
            outputs,
            ((_Results(self._float, self._scaling(image), names), _Results(twin, image, names)) for image in images),
        )

    def _denied(self, config: QuantConfig) -> set[str]:
        inside = {name for layer in config.in_float(self.layers) for name in layer.nodes}
        return inside | self._exponentials | self._last_sigmoid

    def _with_ranges(self, config: QuantConfig) -> bytes:
        ranges = self._statistics.ranges(config)
        flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(self._calibrated))
        for tensor in flatbuffer.subgraphs[0].tensors:
            name = tensor.name.decode()
            if name in ranges and tensor.quantization is not None and tensor.quantization.min is not None:
                low, high = ranges[name]
                tensor.quantization.min = np.array([low], np.float32)
                tensor.quantization.max = np.array([high], np.float32)
        return bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer))

    def _float_activations(self, pixels: NDArray[np.uint8], reduce: Callable[[Activations], T]) -> Iterator[T]:
        count, threads = workers_and_threads(pixels)
        workers = [FloatActivations(self._calibrated, threads) for _ in range(count)]

        def reduced(worker: FloatActivations, image: NDArray[np.uint8]) -> T:
            return worker(self._scaling(image[np.newaxis]), reduce)

        with ThreadPoolExecutor(count) as pool:
            for images in in_batches(pixels, count, count * pixels[0].nbytes):
                yield from pool.map(reduced, workers, images)


def _calibrate(deployable: Deployable, scaling: PixelScaling, inside: PixelScaling, pixels: NDArray[np.uint8]) -> bytes:
    """Yield the float flatbuffer for the quantizer, which takes scaled images; only the input's range is final.

    The input's range is that of pixels 0-255 after ``scaling``, so that pixels are its quantized values. The rest of
    the scaling, ``inside``, is part of the graph.
    """
    images = scaling(np.concatenate([np.zeros_like(pixels), np.full_like(pixels, 255), pixels]))

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for image in images:
            yield [image[np.newaxis]]

    with log_hidden():
        converter = tflite.converter(deployable, tf.float32, inside)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative
        converter._experimental_calibrate_only = True  # noqa: SLF001 - as TensorFlow's quantization debugger does
        content: bytes = converter.convert()
    return content


class _Results(Mapping[str, NDArray[np.float32]]):
    """Outputs of operators for one image by name, dequantized on access; of equal names the last one, which is float.

    They are valid until the file runs again: copies of all would take as much memory as the interpreter.

    Args:
        traced: a file, which is run at once.
        image: float32 or uint8 (1, H, W, 3).
        names: names of the tensors; ``None``: all.
    """

    def __init__(self, traced: TracedTflite, image: NDArray[Any], names: set[str] | None) -> None:
        produced = [traced.tensors[index] for operator in traced.operators for index in operator.outputs]
        self._traced = traced
        self._wanted = {tensor.name: tensor for tensor in produced if names is None or tensor.name in names}
        traced.run(image)

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._traced.dequantized(self._wanted[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._wanted)

    def __len__(self) -> int:
        return len(self._wanted)


def _exponentials(traced: TracedTflite) -> set[str]:
    """Name outputs of exponentials, of the operators that read them, and of logarithms, which stay in float.

    TensorFlow computes softplus and mish as ``log(exp(x) + 1)``. In 256 equal steps from 0 to the largest exponential,
    small exponentials are rounded to 0: if x is up to 6, all negative x give the same result.
    """
    exponentials: set[int] = set()
    found: set[str] = set()
    for operator in traced.operators:
        output = operator.outputs[0]
        if operator.kind == "EXP":
            exponentials.add(output)
        if operator.kind in ("EXP", "LOG") or exponentials.intersection(operator.inputs):
            found.add(traced.tensors[output].name)
    return found


def _last_sigmoid(traced: TracedTflite) -> set[str]:
    """Name of the output of a multi-label model's final sigmoid, which stays in float; empty for other models."""
    made = [operator for operator in traced.operators if traced.output.index in operator.outputs]
    return {traced.output.name} if made and made[0].kind == LOGISTIC else set()


def _layers(traced: TracedTflite) -> tuple[Layer, ...]:
    """List the layers of a flatbuffer: every computing operator, with later operators that only pass its values on."""
    last = _last_sigmoid(traced)
    owner: dict[int, int] = {}
    nodes: list[list[str]] = []
    producers: list[tuple[int, ...]] = []
    work: list[int] = []
    for operator in traced.operators:
        output = operator.outputs[0]
        name = traced.tensors[output].name
        feeding = sorted({owner[index] for index in operator.inputs if index in owner})
        if name in last:
            continue
        if operator.kind in COMPUTING:
            owner[output] = len(nodes)
            nodes.append([name])
            producers.append(tuple(feeding))
            work.append(_multiplications(traced, operator))
        elif operator.kind != SOFTMAX and feeding:
            owner[output] = feeding[0]
            nodes[feeding[0]].append(name)
    parts = zip(nodes, producers, work, strict=True)
    return tuple(Layer(own[0], tuple(own), fed, count) for own, fed, count in parts)


def _multiplications(traced: TracedTflite, operator: TracedOperator) -> int:
    """Count the multiplications per image of an operator: number of weights times output positions."""
    if operator.kind not in WEIGHTED:
        return 0
    weights, output = traced.tensors[operator.inputs[1]], traced.tensors[operator.outputs[0]]
    return math.prod(weights.shape) * (math.prod(output.shape[1:3]) if operator.kind != "FULLY_CONNECTED" else 1)
