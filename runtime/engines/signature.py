"""A graph held against its spec, before anybody trusts its answers."""

from collections.abc import Callable

import numpy as np

from runtime.engines.base import Backend, Pixels, Probabilities
from runtime.engines.checksum import no_spec
from runtime.errors import ModelFormatError, ModelSpecError
from runtime.spec import ModelSpec


def carried_spec(backend: Backend, name: str) -> ModelSpec:
    """The spec that the file carries.

    Raises:
        ModelSpecError: it carries none, or a broken one.
    """
    if backend.spec_json is None:
        raise no_spec(name)
    try:
        return ModelSpec.from_json(backend.spec_json)
    except ModelSpecError as error:
        raise ModelSpecError(f"{name}: {error}") from error


def fit(backend: Backend, spec: ModelSpec, name: str, *, foreign: bool) -> Callable[[Pixels], Probabilities]:
    """Check inputs and outputs, run the graph once on black, and return what turns pixels into probabilities.

    Raises:
        ModelFormatError: not the inputs and outputs of an image classifier.
        ModelSpecError: the spec's side or number of classes is not the graph's.
    """
    side, classes = spec.side, len(spec.class_names)
    tensors = f"{'; '.join(map(str, backend.inputs))} -> {'; '.join(map(str, backend.outputs))}"
    dtypes = ("uint8", "float32") if foreign else ("uint8",)
    if len(backend.inputs) != 1 or len(backend.outputs) != 1 or backend.inputs[0].dtype not in dtypes:
        raise ModelFormatError(
            f"{name}: expected one {' or '.join(dtypes)} input (images) and one output (probabilities), got {tensors}"
        )
    remedy = "pass the spec that it was trained with" if foreign else "export it again"
    shape = backend.inputs[0].shape
    layouts = [(side, side, 3), (3, side, side)] if foreign else [(side, side, 3)]
    if not any(_matches(shape, layout, open_sides=foreign) for layout in layouts):
        raise ModelSpecError(f"{name}: the spec gives side {side}, the graph takes {backend.inputs[0]}: {remedy}")
    run: Callable[[Pixels], Probabilities] = backend
    if foreign:
        from runtime.engines.external import ForeignBackend

        run = ForeignBackend(backend, spec)
    answer = run(np.zeros((1, side, side, 3), np.uint8))
    if answer.shape != (1, classes) or answer.dtype != np.float32:
        raise ModelSpecError(
            f"{name}: the spec names {classes} classes, the graph answers one image with {answer.dtype} "
            f"{answer.shape}: {remedy}"
        )
    return run


def _matches(shape: tuple[int | None, ...], layout: tuple[int, ...], *, open_sides: bool) -> bool:
    if len(shape) != 4 or not (shape[0] is None or open_sides):
        return False
    return all(has == needs or (has is None and open_sides) for has, needs in zip(shape[1:], layout, strict=True))
