"""ONNX Runtime on the CPU."""

import onnxruntime

from runtime.backends import Pixels, Probabilities
from runtime.errors import ModelFormatError, ModelSpecError
from runtime.golden import GOLDEN_KEY
from runtime.spec import SPEC_KEY


class OnnxBackend:
    """Runs the bytes of an ``.onnx`` file."""

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no public base
            reason = str(error).strip().splitlines()[0]
            raise ModelFormatError(f"{name}: ONNX Runtime cannot load it ({reason})") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3 or inputs[0].type != "tensor(uint8)":
            got = ", ".join(f"{entry.type} {entry.shape}" for entry in inputs)
            raise ModelFormatError(f"{name}: expected one input tensor(uint8) [N, S, S, 3], got {got}")
        if len(outputs) != 1 or outputs[0].type != "tensor(float)" or len(outputs[0].shape) != 2:
            got = ", ".join(f"{entry.type} {entry.shape}" for entry in outputs)
            raise ModelFormatError(f"{name}: expected one output tensor(float) [N, C], got {got}")
        self._input_name, self._output_names = inputs[0].name, [outputs[0].name]
        self.side, self.class_count = int(shape[1]), int(outputs[0].shape[1])
        metadata = self._session.get_modelmeta().custom_metadata_map
        if SPEC_KEY not in metadata:
            raise ModelSpecError(
                f"{name}: carries no model spec ({SPEC_KEY}): export it with python -m pipeline export"
            )
        self.spec_json: str | bytes = metadata[SPEC_KEY]
        self.golden_json: str | bytes | None = metadata.get(GOLDEN_KEY)

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, S, S, 3) to float32 (N, C)."""
        result: Probabilities = self._session.run(self._output_names, {self._input_name: pixels})[0]
        return result
