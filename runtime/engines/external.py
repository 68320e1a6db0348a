"""Run models of other exporters: apply scaling, layout (NCHW) and softmax here, as the caller's spec says."""

from collections.abc import Callable

import numpy as np

from runtime.engines.base import Backend, Pixels, Probabilities, one_by_one
from runtime.engines.graph import Graph
from runtime.errors import ModelSpecError
from runtime.spec import ModelSpec


class ExternalBackend:
    """A wrapper for a graph that takes scaled floats, channels first (NCHW), or single images."""

    def __init__(self, backend: Backend, spec: ModelSpec) -> None:
        (source,) = backend.inputs
        self._backend = backend
        self._floats = source.dtype != "uint8"
        self._channels_first = source.shape[3] != 3
        self._single = source.shape[0] == 1
        self._scale, self._offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)

    def __call__(self, pixels: Pixels) -> Probabilities:
        """Run pixels, uint8 (N, H, W, 3); return the graph's output (N, C) unchanged."""
        values = pixels * self._scale + self._offset if self._floats else pixels
        if self._channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return one_by_one(self._backend, values) if self._single else self._backend(values)


def known_output(graph: Graph | None, name: str) -> str:
    """Infer the kind of a graph's output from its last operators: ``softmax``, ``logits`` or ``sigmoid``.

    Raises:
        ModelSpecError: it cannot be inferred.
    """
    kind = graph.output_kind() if graph else None
    if kind is None:
        last = f"its last operator, {graph.last_operator():.100}," if graph else "its format"
        raise ModelSpecError(
            f"{name}: {last} does not show whether its output is probabilities: set "
            "ModelSpec(…, output='softmax'), 'sigmoid' or 'logits'"
        )
    return kind


def to_probabilities(output: str, classes: int, temperature: float) -> Callable[[Probabilities], Probabilities]:
    """Return a function that turns a graph's output into probabilities, float32 (N, C).

    Args:
        output: ``softmax``, ``logits`` or ``sigmoid``.
        classes: number of classes.
        temperature: divisor of logits.
    """
    logits = output == "logits"

    def convert(answers: Probabilities) -> Probabilities:
        answers = answers.astype(np.float32, copy=False)
        if classes == 2 and answers.ndim == 2 and answers.shape[1] == 1:  # one value, for the second class
            answers = np.concatenate([np.zeros_like(answers) if logits else 1 - answers, answers], axis=1)
        return _softmax(answers / np.float32(temperature)) if logits else answers

    return convert


def _softmax(logits: Probabilities) -> Probabilities:
    with np.errstate(invalid="ignore"):  # infinite logits give NaN, which the check of the output refuses
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Probabilities = (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)
    return result
