"""LiteRT (TensorFlow Lite) with its XNNPACK kernels."""

import io
import threading
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.backends import Pixels, Probabilities
from runtime.errors import BackendUnavailableError, ModelFormatError, ModelSpecError
from runtime.golden import GOLDEN_FILE
from runtime.quiet import native_stderr_hidden
from runtime.spec import SPEC_FILE


class LitertBackend:
    """Runs the bytes of a ``.tflite`` file; the graph's batch is one image, so a batch is a loop."""

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise BackendUnavailableError(
                f"{name}: running .tflite files needs LiteRT, which is not installed: pip install 'edgecnn[litert]'"
            ) from error
        if content[4:8] != b"TFL3":
            raise ModelFormatError(f"{name}: not a TFLite file (no TFL3 identifier): copy or export it again")
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                self.spec_json: str | bytes = archive.read(SPEC_FILE)
                carried = GOLDEN_FILE in archive.namelist()
                self.golden_json: str | bytes | None = archive.read(GOLDEN_FILE) if carried else None
        except (zipfile.BadZipFile, KeyError) as error:
            raise ModelSpecError(
                f"{name}: carries no model spec ({SPEC_FILE}), or is cut off: export it with python -m pipeline export"
            ) from error
        try:
            with native_stderr_hidden():
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelFormatError(f"{name}: LiteRT cannot load it ({str(error).splitlines()[0]})") from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        shape = list(inputs[0]["shape"])
        if (
            len(inputs) != 1
            or len(shape) != 4
            or shape[1] != shape[2]
            or shape[3] != 3
            or inputs[0]["dtype"] != np.uint8
        ):
            raise ModelFormatError(f"{name}: expected one input uint8 [1, S, S, 3], got {inputs[0]['dtype']} {shape}")
        if len(outputs) != 1 or outputs[0]["dtype"] not in (np.float32, np.int8) or len(outputs[0]["shape"]) != 2:
            got = ", ".join(f"{entry['dtype'].__name__} {list(entry['shape'])}" for entry in outputs)
            raise ModelFormatError(f"{name}: expected one output float32 or int8 [1, C], got {got}")
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        self._dequantized = _dequantization_table(outputs[0])
        self.side, self.class_count = int(shape[1]), int(outputs[0]["shape"][-1])
        self._lock = threading.Lock()

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, S, S, 3) to float32 (N, C), dequantised."""
        with self._lock:
            if len(pixels) == 1:
                raw = self._run(pixels)
            elif len(pixels):
                raw = np.concatenate([self._run(image[np.newaxis]) for image in pixels])
            else:
                return np.empty((0, self.class_count), np.float32)
        return raw if self._dequantized is None else self._dequantized[raw.view(np.uint8)]

    def _run(self, pixels: Pixels) -> NDArray[Any]:
        self._interpreter.set_tensor(self._input, pixels)
        self._interpreter.invoke()
        result: NDArray[Any] = self._interpreter.get_tensor(self._output)
        return result


def _dequantization_table(output: dict[str, Any]) -> Probabilities | None:
    """float32 (256,): the value of every int8 output, indexed by its bits; ``None`` for a float output."""
    if output["dtype"] == np.float32:
        return None
    scale, zero_point = output["quantization"]
    steps = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32)
    return (steps - np.float32(zero_point)) * np.float32(scale)
