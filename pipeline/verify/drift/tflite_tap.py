"""Read the intermediate tensors of a TFLite file from LiteRT's interpreter."""

import numpy as np
from numpy.typing import NDArray

from pipeline.system.traced_tflite import QUANTIZED, TracedTflite
from pipeline.verify.drift.taps import Lineage, Values
from runtime.engines.litert import LitertTensor


class TfliteTap:
    """The intermediate tensors of a TFLite file."""

    def __init__(self, content: bytes) -> None:
        traced = self._traced = TracedTflite(content)
        names = {index: f"{tensor.name} [{index}]" for index, tensor in traced.tensors.items()}
        self.lineage = Lineage()
        self.lineage.add(names[traced.input.index], ())
        self._read: dict[str, LitertTensor] = {}
        for operator in traced.operators:
            sources = [names[index] for index in operator.inputs if index in names]
            if not any(source in self.lineage.order for source in sources):
                continue
            for index in operator.outputs:
                self.lineage.add(names[index], sources)
                self._read[names[index]] = traced.tensors[index]

    def __call__(self, pixels: NDArray[np.uint8]) -> Values:
        """Return the tensors that are float32, or integer with one scale (dequantized), for uint8 (N, H, W, 3)."""
        collected: dict[str, list[NDArray[np.float32]]] = {}
        for image in pixels:
            self._traced.run(image[np.newaxis])
            for name, tensor in self._read.items():
                value = self._value(tensor)
                if value is not None:
                    collected.setdefault(name, []).append(value)
        return {name: np.concatenate(values) for name, values in collected.items()}

    def _value(self, tensor: LitertTensor) -> NDArray[np.float32] | None:
        if tensor.dtype != np.float32 and not (tensor.dtype in QUANTIZED and tensor.scale):
            return None
        value = self._traced.dequantized(tensor)
        return value if value.ndim and len(value) == 1 else None
