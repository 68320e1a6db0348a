"""The engine OpenVINO, on the CPU: the fastest in float on PC and server processors; wheels for 64-bit Arm exist."""

import io
import sys
import threading
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.engines.base import Probabilities, Scored, Tensor, one_by_one
from runtime.engines.onnx_file import read_graph, read_metadata
from runtime.errors import ModelFormatError
from runtime.spec import GOLDEN_KEY, SPEC_KEY
from runtime.system.fork import ForkGuard
from runtime.system.machine import examine_machine

DTYPES = {"u8": "uint8", "f32": "float32"}
TELEMETRY = "openvino_telemetry"
EXACT_INT8 = ("LP_TRANSFORMS_MODE", "NO")
"""Undocumented property that computes int8 graphs in float. On x86-64 without VNNI, OpenVINO otherwise multiplies int8
with saturating 16-bit sums: the reference's probabilities were off by 0.25. Source:
``ov::intel_cpu::Config::LPTransformsMode``."""
_importing = threading.Lock()
_POOL = ForkGuard("start processes by multiprocessing's 'spawn'")
"""Guards OpenVINO's thread pool, which all models of a process share."""


class OpenvinoBackend:
    """An engine of ``.onnx`` files. The graph is compiled for one image, so a batch is run in a loop."""

    engine, title, suffixes = "openvino", "OpenVINO", (".onnx",)
    file_format, color, marker = None, "#009e73", "D"
    distribution, package, install = "openvino", "openvino", "pip install openvino"

    read_graph = staticmethod(read_graph)

    @staticmethod
    def import_engine() -> ModuleType:
        """Import OpenVINO with its telemetry package hidden, because it would contact an analytics server."""
        with _importing:
            hide = "openvino" not in sys.modules and TELEMETRY not in sys.modules
            if hide:
                sys.modules[TELEMETRY] = None  # type: ignore[assignment]
            try:
                return import_module("openvino")
            finally:
                if hide:
                    del sys.modules[TELEMETRY]

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        metadata = read_metadata(content, name)
        openvino = self.import_engine()
        self._name = name
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",  # otherwise it uses half precision where the processor supports it
            "ENABLE_CPU_PINNING": False,  # otherwise the first thread of every process is pinned to the same core
        } | dict([EXACT_INT8] if _saturates() else [])
        with _POOL:
            try:
                core = openvino.Core()
                model = core.read_model(io.BytesIO(content))
                self.inputs = tuple(map(_tensor, model.inputs))
                self.outputs = tuple(map(_tensor, model.outputs))
                self._single = len(self.inputs) == 1 and _takes_any_number(self.inputs[0])
                if self._single:
                    # A dynamic batch axis costs a third more: shapes are inferred again in each run.
                    model.reshape([1, *self.inputs[0].shape[1:]])
                self._request = core.compile_model(model, "CPU", properties).create_infer_request()
            except (RuntimeError, TypeError, ValueError) as error:
                raise ModelFormatError(
                    f"{name}: OpenVINO cannot load it ({_reason(error)}): export it again"
                ) from error
        self.spec_json: str | bytes | None = metadata.get(SPEC_KEY)
        self.golden_json: str | bytes | None = metadata.get(GOLDEN_KEY)
        if self._single:
            self._source = self._request.get_input_tensor().data
            self._answers = [self._request.get_output_tensor(index).data for index in range(len(self.outputs))]
        self._lock = threading.Lock()

    def __call__(self, values: NDArray[Any]) -> Probabilities:
        """Run a batch of the input's dtype and shape; return float32 (N, C)."""
        with _POOL:
            try:
                with self._lock:
                    if not self._single:
                        result: Probabilities = self._request.infer([values])[0]
                        return result
                    return one_by_one(self._run, values)
            except (RuntimeError, ValueError) as error:
                raise ModelFormatError(f"{self._name}: OpenVINO cannot run it ({_reason(error)})") from error

    def _run(self, values: NDArray[Any]) -> Probabilities:
        self._source[:] = values
        self._request.infer()
        result: Probabilities = self._answers[0].copy()
        return result

    def scored(self, values: NDArray[Any]) -> Scored:
        """Run a batch; return probabilities (N, C) and familiarity scores (N,)."""
        with _POOL:
            try:
                with self._lock:
                    if not self._single:
                        results = self._request.infer([values])
                        return results[0], results[1]
                    pairs = [(self._run(image[np.newaxis]), self._answers[1].copy()) for image in values]
            except (RuntimeError, ValueError) as error:
                raise ModelFormatError(f"{self._name}: OpenVINO cannot run it ({_reason(error)})") from error
        return np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])


BACKEND = OpenvinoBackend


def _saturates() -> bool:
    features = examine_machine(Path("/")).features
    return "avx2" in features and not {"avx512_vnni", "avx_vnni"} & set(features)


def _takes_any_number(source: Tensor) -> bool:
    return len(source.shape) == 4 and source.shape[0] is None and None not in source.shape[1:]


def _tensor(entry: Any) -> Tensor:
    dtype = entry.element_type.get_type_name()
    axes = (None if axis.is_dynamic else axis.get_length() for axis in entry.partial_shape)
    return Tensor(entry.any_name, DTYPES.get(dtype, dtype), tuple(axes))


def _reason(error: Exception) -> str:
    """Return the last line of the message; the lines above it name places in OpenVINO's source code."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1][:300]
