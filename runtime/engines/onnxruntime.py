"""ONNX Runtime on the CPU."""

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from runtime.engines.base import FileFormat, Probabilities, Scored, Tensor
from runtime.engines.onnx_file import read_metadata
from runtime.errors import ModelFormatError
from runtime.spec import GOLDEN_KEY, SPEC_KEY

if TYPE_CHECKING:
    from runtime.engines.graph import Graph

EXACT_INT8 = ("session.x64quantprecision", "1")
"""Every session of an int8 graph wants this entry. On x86-64 without VNNI, ONNX Runtime otherwise multiplies uint8 by
int8 in 16 bits that saturate: the reference lost 6.5 points of accuracy there. Nothing changes on other processors.
Source: ``onnxruntime_session_options_config_keys.h``, ``kOrtSessionOptionsAvx2PrecisionMode``."""
NOT_EXACT = (EXACT_INT8[0], "0")
SHARED_WEIGHTS = "AddInitializerWithOrtValue"
"""Named in the error of ONNX Runtime 1.32 where that mode meets a weight or zero point that several layers share."""
DTYPES = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}


class OnnxBackend:
    """Runs the bytes of an ``.onnx`` file."""

    engine, title, suffixes = "onnxruntime", "ONNX Runtime", (".onnx",)
    file_format, color, marker = FileFormat(".onnx", "ONNX"), "#0072b2", "o"
    distribution, package, install = "onnxruntime", "onnxruntime", "pip install 'onnxruntime>=1.20,!=1.21.0'"

    @staticmethod
    def read_graph(content: bytes) -> "Graph":
        """The operators of a file; a ``ValueError`` if it is none."""
        from runtime.engines import onnx_graph

        return onnx_graph.read_graph(content)

    @staticmethod
    def import_engine() -> ModuleType:
        """ONNX Runtime."""
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
        options.add_session_config_entry("session.load_model_format", "ONNX")  # or it also takes its own format for one
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
        """A batch as the input declares it to float32 (N, C)."""
        result: Probabilities = self._results(values, self._output_names[:1])[0]
        return result

    def scored(self, values: NDArray[Any]) -> Scored:
        """As calling it, with the familiarity of each image."""
        probabilities, familiarity = self._results(values, self._output_names)
        return probabilities, familiarity

    def _results(self, values: NDArray[Any], names: list[str]) -> Any:
        try:
            return self._run(names, {self._input_name: values})
        except Exception as error:
            raise ModelFormatError(f"{self._name}: ONNX Runtime cannot run it ({_reason(error)})") from error


BACKEND = OnnxBackend


def _start(onnxruntime: ModuleType, content: bytes, options: Any) -> Any:
    """A session; of files whose layers share weights with saturating int8, as ONNX Runtime has it by itself."""
    start = partial(
        onnxruntime.InferenceSession,
        content,
        options,
        providers=["CPUExecutionProvider"],
        enable_fallback=0,  # it would print and try a damaged file a second time
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
