"""Models of other exporters: what our own graphs do inside is done here, as the caller's spec says."""

import numpy as np

from runtime.engines.base import Backend, Pixels, Probabilities, one_by_one
from runtime.spec import ModelSpec


class ForeignBackend:
    """Pixels to probabilities with a graph that takes scaled floats, channels first, single images, or gives logits."""

    def __init__(self, backend: Backend, spec: ModelSpec) -> None:
        (source,) = backend.inputs
        self._backend = backend
        self._floats = source.dtype != "uint8"
        self._channels_first = source.shape[3] != 3
        self._single = source.shape[0] == 1
        self._scale, self._offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)
        self._temperature = spec.temperature
        self._logits = False
        # Probabilities are known by their sum; what a graph gives otherwise are logits.
        answer = self(np.zeros((1, spec.side, spec.side, 3), np.uint8))
        self._logits = bool((answer < 0).any() or abs(float(answer.sum()) - 1) > 0.02)

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, S, S, 3) to float32 (N, C)."""
        values = pixels * self._scale + self._offset if self._floats else pixels
        if self._channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        answer: Probabilities = one_by_one(self._backend, values) if self._single else self._backend(values)
        return _softmax(answer / self._temperature) if self._logits else answer


def _softmax(logits: Probabilities) -> Probabilities:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Probabilities = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)
    return result
