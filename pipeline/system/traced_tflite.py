"""Run a TFLite file so that the result of every operator can be read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from pipeline.system.quiet import log_hidden
from runtime.engines.litert import LitertTensor

QUANTIZED = (np.int8, np.uint8, np.int16)
"""Types of quantized tensors; integers of other types are indices and shapes."""


@dataclass(frozen=True)
class TracedOperator:
    """An operator: its kind, such as ``CONV_2D``, and the numbers of the tensors that it reads and writes."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class TracedTflite:
    """A TFLite file in LiteRT's interpreter, on single images.

    XNNPACK does not expose the tensors between its kernels, so the interpreter's built-in kernels run instead; their
    int8 results differ from XNNPACK's by one quantization step in places.

    Attributes:
        tensors: the tensors by their numbers.
        operators: the operators in the order in which they run.
        input, output: the graph's first input and output.
    """

    def __init__(self, content: bytes) -> None:
        with log_hidden():
            interpreter = self._interpreter = Interpreter(
                model_content=content,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            interpreter.allocate_tensors()
        self.tensors = {tensor.index: tensor for tensor in map(LitertTensor.of, interpreter.get_tensor_details())}
        self.operators = tuple(map(_operator, interpreter._get_ops_details()))  # noqa: SLF001 - there is no public list
        self.input = LitertTensor.of(interpreter.get_input_details()[0])
        self.output = LitertTensor.of(interpreter.get_output_details()[0])

    def run(self, image: NDArray[Any]) -> None:
        """Run one image of the input's type and shape, (1, H, W, 3)."""
        self._interpreter.set_tensor(self.input.index, image)
        self._interpreter.invoke()

    def values(self, tensor: LitertTensor) -> NDArray[Any]:
        """Return a copy of a tensor's values for the latest image."""
        values: NDArray[Any] = self._interpreter.get_tensor(tensor.index)
        return values

    def dequantized(self, tensor: LitertTensor) -> NDArray[np.float32]:
        """Return a tensor's real values for the latest image; values without a scale are only cast to float32."""
        values = self.values(tensor)
        if tensor.dtype not in QUANTIZED or not tensor.scale:
            return values.astype(np.float32, copy=False)
        return (values.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def _operator(entry: dict[str, Any]) -> TracedOperator:
    return TracedOperator(entry["op_name"], tuple(map(int, entry["inputs"])), tuple(map(int, entry["outputs"])))
