"""LiteRT (TensorFlow Lite) with its XNNPACK kernels."""

import io
import threading
import zipfile

import numpy as np

from runtime.backends import Pixels, Probabilities
from runtime.errors import BackendUnavailableError, ModelFormatError, ModelSpecError
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
        self._input, self._output = inputs[0]["index"], outputs[0]["index"]
        self._scale, self._zero_point = outputs[0]["quantization"]
        self.side, self.class_count = int(shape[1]), int(outputs[0]["shape"][-1])
        self._lock = threading.Lock()

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, S, S, 3) to float32 (N, C), dequantised."""
        raw = []
        with self._lock:
            for image in pixels:
                self._interpreter.set_tensor(self._input, image[np.newaxis])
                self._interpreter.invoke()
                raw.append(self._interpreter.get_tensor(self._output)[0])
        if not raw:
            return np.empty((0, self.class_count), np.float32)
        result = np.stack(raw)
        if result.dtype == np.float32:
            return result
        return (result.astype(np.float32) - np.float32(self._zero_point)) * np.float32(self._scale)
