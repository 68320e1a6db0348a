"""Read the intermediate tensors of a TFLite file from LiteRT's interpreter."""

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from pipeline.system.quiet import log_hidden
from pipeline.verify.drift.taps import Lineage, Values, dequantize

INTEGERS = (np.int8, np.uint8, np.int16)


class TfliteTap:
    """The intermediate tensors of a TFLite file.

    XNNPACK does not expose the tensors between its kernels, so the interpreter's built-in kernels run instead; their
    int8 results differ from XNNPACK's by one quantization step in places.
    """

    def __init__(self, content: bytes) -> None:
        with log_hidden():
            self._interpreter = Interpreter(
                model_content=content,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        self._input = int(self._interpreter.get_input_details()[0]["index"])
        tensors = {int(entry["index"]): entry for entry in self._interpreter.get_tensor_details()}
        names = {index: f"{entry['name']} [{index}]" for index, entry in tensors.items()}
        self.lineage = Lineage()
        self.lineage.add(names[self._input], ())
        self._read: dict[str, dict[str, Any]] = {}
        for operator in self._interpreter._get_ops_details():  # noqa: SLF001 - the only way to a file's operators
            sources = [names[int(index)] for index in operator["inputs"] if int(index) in names]
            if not any(source in self.lineage.order for source in sources):
                continue
            for index in map(int, operator["outputs"]):
                self.lineage.add(names[index], sources)
                self._read[names[index]] = tensors[index]

    def __call__(self, pixels: NDArray[np.uint8]) -> Values:
        """Return the tensors that are float32, or integer with one scale (dequantized), for uint8 (N, H, W, 3)."""
        collected: dict[str, list[NDArray[np.float32]]] = {}
        for image in pixels:
            self._interpreter.set_tensor(self._input, image[np.newaxis])
            self._interpreter.invoke()
            for name, entry in self._read.items():
                value = self._value(entry)
                if value is not None:
                    collected.setdefault(name, []).append(value)
        return {name: np.concatenate(values) for name, values in collected.items()}

    def _value(self, entry: dict[str, Any]) -> NDArray[np.float32] | None:
        quantization = entry["quantization_parameters"]
        floats = entry["dtype"] == np.float32
        if not floats and not (entry["dtype"] in INTEGERS and len(quantization["scales"]) == 1):
            return None
        value: NDArray[Any] = self._interpreter.get_tensor(entry["index"])
        if not value.ndim or len(value) != 1:
            return None
        return value if floats else dequantize(value, quantization["scales"][0], quantization["zero_points"][0])
