"""The engine LiteRT (TensorFlow Lite), on the CPU with XNNPACK kernels."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.engines.archive import read_members
from runtime.engines.base import MAX_JSON_BYTES, FileFormat, Probabilities, Scored, Tensor, one_by_one
from runtime.errors import ModelFormatError
from runtime.spec import GOLDEN_FILE, SPEC_FILE

if TYPE_CHECKING:
    from runtime.engines.graph import Graph


@dataclass(frozen=True)
class LitertTensor:
    """A tensor of a graph, as LiteRT's interpreter describes it.

    Attributes:
        index: its number, by which the interpreter reads and writes it.
        name: its name; several may have the same.
        dtype: NumPy's type of its values.
        shape: lengths of its axes.
        scale, zero_point: its quantization; scale 0 if it has none, or one for each channel.
    """

    index: int
    name: str
    dtype: type[np.generic]
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "LitertTensor":
        """Read an entry of ``get_input_details``, ``get_output_details`` or ``get_tensor_details``."""
        shape = tuple(map(int, entry["shape"]))
        return cls(int(entry["index"]), entry["name"], entry["dtype"], shape, *entry["quantization"])

    def dequantization_table(self) -> Probabilities | None:
        """Return the real value of each 8-bit value, float32 (256,), indexed by its bits; ``None`` for a float tensor.

        Raises:
            ValueError: it is 8-bit but has no single scale.
        """
        if self.dtype not in (np.int8, np.uint8):
            return None
        if not 0 < self.scale < np.inf:
            raise ValueError(f"its output is {np.dtype(self.dtype)} of unknown scale ({self.scale})")
        steps: Probabilities = np.arange(256, dtype=np.uint8).view(self.dtype).astype(np.float32)
        return (steps - np.float32(self.zero_point)) * np.float32(self.scale)


class LitertBackend:
    """The engine of ``.tflite`` files. The graph takes one image, so a batch is run in a loop."""

    engine, title, suffixes = "litert", "LiteRT", (".tflite",)
    file_format = FileFormat(".tflite", "TFLite", b"TFL3", 4, "TFL3 identifier")
    color, marker = "#d55e00", "s"
    distribution, package, install = "ai-edge-litert", "ai_edge_litert", "pip install ai-edge-litert"

    @staticmethod
    def read_graph(content: bytes) -> "Graph":
        """Read the operators of a file; raise ``ValueError`` if it is not a TFLite file."""
        from runtime.engines import tflite_file

        return tflite_file.read_graph(content)

    @staticmethod
    def import_engine() -> ModuleType:
        """Import LiteRT."""
        import_module("ai_edge_litert.interpreter")
        return import_module("ai_edge_litert")

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        interpreter = self.import_engine().interpreter.Interpreter
        self._name = name
        carried = read_members(content, name, dict.fromkeys((SPEC_FILE, GOLDEN_FILE), MAX_JSON_BYTES))
        self.spec_json: str | bytes | None = carried.get(SPEC_FILE)
        self.golden_json: str | bytes | None = carried.get(GOLDEN_FILE)
        try:
            self._interpreter = interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
            inputs = [LitertTensor.of(entry) for entry in self._interpreter.get_input_details()]
            outputs = [LitertTensor.of(entry) for entry in self._interpreter.get_output_details()]
            self._dequantized = [output.dequantization_table() for output in outputs]
        except (ValueError, RuntimeError, IndexError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelFormatError(f"{name}: LiteRT cannot load it ({reason}): export it again") from error
        self.inputs, self.outputs = tuple(map(_tensor, inputs)), tuple(map(_tensor, outputs))
        self._input, self._outputs = inputs[0].index, [output.index for output in outputs]
        self._lock = threading.Lock()

    def __call__(self, values: NDArray[Any]) -> Probabilities:
        """Run a batch of the input's dtype and shape; return float32 (N, C), dequantized."""
        return self._dequantize(0, self._batch(self._run, values))

    def scored(self, values: NDArray[Any]) -> Scored:
        """Run a batch; return probabilities (N, C) and familiarity (N,), the largest logit of each image."""
        both = self._batch(self._run_both, values)
        return both[:, :-1], both[:, -1]

    def _batch(self, run: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any]) -> NDArray[Any]:
        try:
            with self._lock:
                return one_by_one(run, values)
        except (ValueError, RuntimeError) as error:
            raise ModelFormatError(f"{self._name}: LiteRT cannot run it ({error})") from error

    def _run(self, values: NDArray[Any]) -> NDArray[Any]:
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        result: NDArray[Any] = self._interpreter.get_tensor(self._outputs[0])
        return result

    def _run_both(self, values: NDArray[Any]) -> NDArray[np.float32]:
        answers = self._dequantize(0, self._run(values))
        logits = self._dequantize(1, self._interpreter.get_tensor(self._outputs[1]))
        return np.append(answers, logits.max(axis=1, keepdims=True), axis=1)

    def _dequantize(self, output: int, raw: NDArray[Any]) -> Probabilities:
        table = self._dequantized[output]
        return raw if table is None else table[raw.view(np.uint8)]


BACKEND = LitertBackend


def _tensor(tensor: LitertTensor) -> Tensor:
    return Tensor(tensor.name, np.dtype(tensor.dtype).name, (None, *tensor.shape[1:]))
