"""Models of other exporters: scaling, layout and softmax are done here, by the caller's spec."""

from collections.abc import Callable

import numpy as np

from runtime.engines.base import Backend, Pixels, Probabilities, one_by_one
from runtime.engines.graph import Graph
from runtime.errors import ModelSpecError
from runtime.spec import ModelSpec


class ExternalBackend:
    """Pixels to answers with a graph that takes scaled floats, channels first, or single images."""

    def __init__(self, backend: Backend, spec: ModelSpec) -> None:
        (source,) = backend.inputs
        self._backend = backend
        self._floats = source.dtype != "uint8"
        self._channels_first = source.shape[3] != 3
        self._single = source.shape[0] == 1
        self._scale, self._offset = np.array(spec.scale, np.float32), np.array(spec.offset, np.float32)

    def __call__(self, pixels: Pixels) -> Probabilities:
        """uint8 (N, S, S, 3) to float32 (N, C), as the graph answers."""
        values = pixels * self._scale + self._offset if self._floats else pixels
        if self._channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        return one_by_one(self._backend, values) if self._single else self._backend(values)


def known_output(graph: Graph | None, name: str) -> str:
    """What a graph answers with, as its last operators have it: ``softmax``, ``logits`` or ``sigmoid``.

    Raises:
        ModelSpecError: they do not say.
    """
    kind = graph.output_kind() if graph else None
    if kind is None:
        last = f"its last operator, {graph.last_operator():.100}," if graph else "its format"
        raise ModelSpecError(
            f"{name}: {last} does not say whether its answers are probabilities: say so with "
            "ModelSpec(…, output='softmax'), 'sigmoid' or 'logits'"
        )
    return kind


def to_probabilities(output: str, classes: int, temperature: float) -> Callable[[Probabilities], Probabilities]:
    """A function that turns what a graph answers with into float32 (N, C) probabilities."""
    logits = output == "logits"

    def convert(answers: Probabilities) -> Probabilities:
        answers = answers.astype(np.float32, copy=False)
        if classes == 2 and answers.ndim == 2 and answers.shape[1] == 1:  # of the second class alone
            answers = np.concatenate([np.zeros_like(answers) if logits else 1 - answers, answers], axis=1)
        return _softmax(answers / np.float32(temperature)) if logits else answers

    return convert


def _softmax(logits: Probabilities) -> Probabilities:
    with np.errstate(invalid="ignore"):  # of infinite logits; their NaN is refused where the answers are checked
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    result: Probabilities = (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)
    return result
