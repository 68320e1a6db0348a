"""Check that a graph's inputs and outputs fit its spec, before its answers are used."""

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from runtime.engines.base import FAMILIARITY, Backend, Pixels, Probabilities, Scored
from runtime.engines.checksum import no_spec
from runtime.errors import ModelFormatError, ModelSpecError
from runtime.spec import ModelSpec

if TYPE_CHECKING:
    from runtime.engines.graph import Graph

REMEDY, FOREIGN_REMEDY = "export it again", "pass the spec that it was trained with"
SLACK = 0.01
"""How far beyond 0-1 a probability may be: half precision and quantized steps round."""


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


def fit(
    backend: Backend, spec: ModelSpec, name: str, *, external: bool, graph: "Graph | None" = None
) -> Callable[[Pixels], Probabilities]:
    """Check inputs and outputs, run the graph once on black, and return what turns pixels into probabilities.

    Args:
        backend: the loaded graph, which has not run.
        spec: what the graph must fit.
        name: what messages call the file.
        external: it is of another exporter, and the spec the caller's.
        graph: its operators, which say what a external graph answers with where the spec does not.

    Returns:
        uint8 (N, S, S, 3) to float32 (N, C); a ``ModelFormatError`` where the graph answers anything else.

    Raises:
        ModelFormatError: not the inputs and outputs of an image classifier.
        ModelSpecError: the spec's side, number of classes or kind of output is not the graph's.
    """
    _check_tensors(backend, spec, name, external=external)
    remedy = FOREIGN_REMEDY if external else REMEDY
    run: Callable[[Pixels], Probabilities] = backend
    output = spec.output or "softmax"
    if external:
        from runtime.engines.external import ExternalBackend, known_output

        run, output = ExternalBackend(backend, spec), spec.output or known_output(graph, name)
    black, classes = np.zeros((1, *spec.shape), np.uint8), len(spec.class_names)
    answer = run(black)
    if answer.dtype not in (np.float32, *([np.float16, np.float64] if external else [])):
        raise ModelFormatError(
            f"{name}: answers with {answer.dtype} values of unknown scale, expected float32 probabilities: {remedy}"
        )
    if external or output == "logits":
        from runtime.engines.external import to_probabilities

        convert = to_probabilities(output, classes, spec.temperature if external else 1.0)
        run, answer = _chained(run, convert), convert(answer)
    if answer.shape != (1, classes):
        raise ModelSpecError(
            f"{name}: the spec names {classes} classes, the graph answers one image with {answer.dtype} "
            f"{answer.shape}: {remedy}"
        )
    _refuse_broken(answer, 1, classes, name)
    if np.abs(answer - 0.5).max() > 0.5 + SLACK:
        raise ModelSpecError(
            f"{name}: answers from {answer.min():.4g} to {answer.max():.4g} are no probabilities: "
            + ("if they are logits, pass ModelSpec(…, output='logits')" if external else remedy)
        )
    return _checked(run, classes, name)


def fit_scored(backend: Backend, spec: ModelSpec, name: str) -> Callable[[Pixels], Scored]:
    """As ``fit``, which has looked at the graph, with the familiarity of each image."""
    classes = len(spec.class_names)
    run: Callable[[Pixels], Scored] | None = getattr(backend, "scored", None)
    if run is None:
        raise ModelFormatError(f"{name}: {backend.engine} does not give the second output of a graph: use onnxruntime")

    def scored(pixels: Pixels) -> Scored:
        answers, familiarity = run(pixels)
        _refuse_broken(answers, len(pixels), classes, name)
        if familiarity.shape != (len(pixels),) or not isfinite(familiarity.sum()):
            raise ModelFormatError(
                f"{name}: answers {len(pixels)} images with a familiarity of shape {familiarity.shape} that is not one "
                "finite number each: export it again"
            )
        return answers, familiarity

    scored(np.zeros((1, *spec.shape), np.uint8))
    return scored


def _check_tensors(backend: Backend, spec: ModelSpec, name: str, *, external: bool) -> None:
    height, width, _ = spec.shape
    tensors = f"{'; '.join(map(str, backend.inputs))} -> {'; '.join(map(str, backend.outputs))}"
    dtypes = ("uint8", "float32") if external else ("uint8",)
    scores = [] if spec.known_threshold is None else [FAMILIARITY]
    extra = [tensor.name for tensor in backend.outputs[1:]]
    if len(backend.inputs) != 1 or not backend.outputs or extra != scores or backend.inputs[0].dtype not in dtypes:
        raise ModelFormatError(
            f"{name}: expected one {' or '.join(dtypes)} input (images) and one output (probabilities)"
            f"{' and one of familiarity' * len(scores)}, got {tensors}"
        )
    remedy = FOREIGN_REMEDY if external else REMEDY
    shape = backend.inputs[0].shape
    layouts = [(height, width, 3), (3, height, width)] if external else [(height, width, 3)]
    if not any(_matches(shape, layout, open_sides=external) for layout in layouts):
        stated = f"side {height}" if height == width else f"height {height} and width {width}"
        raise ModelSpecError(f"{name}: the spec gives {stated}, the graph takes {backend.inputs[0]}: {remedy}")


def _chained(
    run: Callable[[Pixels], Probabilities], convert: Callable[[Probabilities], Probabilities]
) -> Callable[[Pixels], Probabilities]:
    return lambda pixels: convert(run(pixels))


def _checked(run: Callable[[Pixels], Probabilities], classes: int, name: str) -> Callable[[Pixels], Probabilities]:
    def checked(pixels: Pixels) -> Probabilities:
        answers = run(pixels)
        _refuse_broken(answers, len(pixels), classes, name)
        return answers

    return checked


def _refuse_broken(answers: Probabilities, images: int, classes: int, name: str) -> None:
    """No class is named by anything but a row of numbers an image."""
    if answers.shape != (images, classes):
        raise ModelFormatError(
            f"{name}: answers {images} images with values of shape {answers.shape}, expected ({images}, {classes}): "
            "export it again with a batch of any size"
        )
    if not isfinite(np.vdot(answers, answers)):  # the quickest sum that no NaN or infinity leaves finite
        raise ModelFormatError(
            f"{name}: answers with NaN or infinity: its weights or its scaling are broken; export it again"
        )


def _matches(shape: tuple[int | None, ...], layout: tuple[int, ...], *, open_sides: bool) -> bool:
    if len(shape) != 4 or not (shape[0] is None or open_sides):
        return False
    return all(has == needs or (has is None and open_sides) for has, needs in zip(shape[1:], layout, strict=True))
