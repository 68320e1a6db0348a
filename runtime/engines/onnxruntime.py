"""The engine ONNX Runtime, with its CPU execution provider."""

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from runtime.engines.base import FileFormat, Probabilities, Scored, Tensor
from runtime.engines.onnx_file import read_graph, read_metadata
from runtime.errors import ModelFormatError
from runtime.spec import GOLDEN_KEY, SPEC_KEY

EXACT_INT8 = ("session.x64quantprecision", "1")
"""Session option for exact int8 arithmetic. On x86-64 without VNNI, ONNX Runtime otherwise multiplies uint8 by int8
with saturating 16-bit sums: the reference lost 6.5 points of accuracy there. On other processors it changes nothing.
Source: ``onnxruntime_session_options_config_keys.h``, ``kOrtSessionOptionsAvx2PrecisionMode``."""
NOT_EXACT = (EXACT_INT8[0], "0")
SHARED_WEIGHTS = "AddInitializerWithOrtValue"
"""Part of the error message of ONNX Runtime 1.32 if, with ``EXACT_INT8``, layers share a weight or zero point."""
DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxBackend:
    """The default engine of ``.onnx`` files."""

    engine, title, suffixes = "onnxruntime", "ONNX Runtime", (".onnx",)
    file_format, color, marker = FileFormat(".onnx", "ONNX"), "#0072b2", "o"
    distribution, package, install = "onnxruntime", "onnxruntime", "pip install 'onnxruntime>=1.20,!=1.21.0'"

    read_graph = staticmethod(read_graph)

    @staticmethod
    def import_engine() -> ModuleType:
        """Import ONNX Runtime."""
        return import_module("onnxruntime")

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        metadata = read_metadata(content, name)
        self._name = name
        onnxruntime = self.import_engine()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry(
            "session.load_model_format", "ONNX"
        )  # otherwise it also accepts the ORT format
        options.add_session_config_entry(*EXACT_INT8)
        try:
            session = _start(onnxruntime, content, options)
            self.inputs = tuple(_tensor(entry) for entry in session.get_inputs())
            self.outputs = tuple(_tensor(entry) for entry in session.get_outputs())
        except Exception as error:  # its errors share no public base
            raise ModelFormatError(
                f"{name}: ONNX Runtime cannot load it ({_reason(error)}): export it again"
            ) from error
        self._run = session.run
        self._input_name = self.inputs[0].name if self.inputs else ""
        self._output_names = [entry.name for entry in self.outputs]
        self.spec_json: str | bytes | None = metadata.get(SPEC_KEY)
        self.golden_json: str | bytes | None = metadata.get(GOLDEN_KEY)

    def __call__(self, values: NDArray[Any]) -> Probabilities:
        """Run a batch of the input's dtype and shape; return float32 (N, C)."""
        result: Probabilities = self._results(values, self._output_names[:1])[0]
        return result

    def scored(self, values: NDArray[Any]) -> Scored:
        """Run a batch; return probabilities (N, C) and familiarity scores (N,)."""
        probabilities, familiarity = self._results(values, self._output_names)
        return probabilities, familiarity

    def _results(self, values: NDArray[Any], names: list[str]) -> Any:
        try:
            return self._run(names, {self._input_name: values})
        except Exception as error:
            raise ModelFormatError(f"{self._name}: ONNX Runtime cannot run it ({_reason(error)})") from error


BACKEND = OnnxBackend


def _start(onnxruntime: ModuleType, content: bytes, options: Any) -> Any:
    """Create a session; without ``EXACT_INT8`` (the default of ONNX Runtime) if layers share weights."""
    start = partial(
        onnxruntime.InferenceSession,
        content,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # the fallback would print and load a damaged file a second time
    )
    try:
        return start()
    except Exception as error:
        if SHARED_WEIGHTS not in str(error):
            raise
        options.add_session_config_entry(*NOT_EXACT)
        return start()


def _tensor(entry: Any) -> Tensor:
    shape = tuple(axis if isinstance(axis, int) and axis >= 0 else None for axis in entry.shape)
    return Tensor(entry.name, DTYPES.get(entry.type, entry.type), shape)


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
