"""Check a graph's inputs, outputs and results against its spec."""

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from runtime.engines.base import FAMILIARITY, Backend, Pixels, Probabilities, Scored
from runtime.engines.checksum import no_spec
from runtime.errors import ModelFormatError, ModelSpecError
from runtime.spec import ModelSpec
from runtime.text import plural

if TYPE_CHECKING:
    from runtime.engines.graph import Graph

REMEDY, EXTERNAL_REMEDY = "export it again", "pass the spec that it was trained with"
SLACK = 0.01
"""How far a probability may exceed 0-1, because half precision and quantization round."""


def embedded_spec(backend: Backend, name: str) -> ModelSpec:
    """Return the spec in the model file.

    Args:
        backend: the loaded model.
        name: name of the file in messages.

    Raises:
        ModelSpecError: the file has no spec, or an invalid one.
    """
    if backend.spec_json is None:
        raise no_spec(name)
    try:
        return ModelSpec.from_json(backend.spec_json)
    except ModelSpecError as error:
        raise ModelSpecError(f"{name}: {error}") from error


def checked_predict(
    backend: Backend, spec: ModelSpec, name: str, *, external: bool, graph: "Graph | None" = None
) -> Callable[[Pixels], Probabilities]:
    """Check a graph against its spec, run it once on a black image, and return a checked prediction function.

    Args:
        backend: the loaded graph, which has not run.
        spec: the expected input size, classes and output kind.
        name: name of the file in messages.
        external: the file is of another exporter, and the spec is the caller's.
        graph: operators of the graph, from which the output kind is inferred if an external file's spec has none.

    Returns:
        A function that maps pixels, uint8 (N, H, W, 3), to probabilities, float32 (N, C); it raises
        ``ModelFormatError`` if the graph returns anything else.

    Raises:
        ModelFormatError: the inputs and outputs are not those of an image classifier.
        ModelSpecError: the spec's size, number of classes or output kind does not match the graph.
    """
    _check_tensors(backend, spec, name, external=external)
    remedy = EXTERNAL_REMEDY if external else REMEDY
    run: Callable[[Pixels], Probabilities] = backend
    output = spec.output or "softmax"
    if external:
        from runtime.engines.external import ExternalBackend, known_output

        run, output = ExternalBackend(backend, spec), spec.output or known_output(graph, name)
    black, classes = np.zeros((1, *spec.shape), np.uint8), len(spec.class_names)
    answer = run(black)
    if answer.dtype not in (np.float32, *([np.float16, np.float64] if external else [])):
        raise ModelFormatError(
            f"{name}: its output is {answer.dtype} of unknown scale, expected float32 probabilities: {remedy}"
        )
    if external or output == "logits":
        from runtime.engines.external import to_probabilities

        convert = to_probabilities(output, classes, spec.temperature if external else 1.0)
        run, answer = _chained(run, convert), convert(answer)
    if answer.shape != (1, classes):
        raise ModelSpecError(
            f"{name}: the spec names {classes} classes, but for one image the graph's output is {answer.dtype} "
            f"{answer.shape}: {remedy}"
        )
    _refuse_broken(answer, 1, classes, name)
    if np.abs(answer - 0.5).max() > 0.5 + SLACK:
        raise ModelSpecError(
            f"{name}: outputs from {answer.min():.4g} to {answer.max():.4g} are not probabilities: "
            + ("if they are logits, pass ModelSpec(…, output='logits')" if external else remedy)
        )
    return _checked(run, classes, name)


def checked_scored(backend: Backend, spec: ModelSpec, name: str) -> Callable[[Pixels], Scored]:
    """Return a checked function for probabilities and familiarity, float32 (N,); call ``checked_predict`` first."""
    classes = len(spec.class_names)
    run: Callable[[Pixels], Scored] | None = getattr(backend, "scored", None)
    if run is None:
        raise ModelFormatError(f"{name}: {backend.engine} does not give the second output of a graph: use onnxruntime")

    def scored(pixels: Pixels) -> Scored:
        answers, familiarity = run(pixels)
        _refuse_broken(answers, len(pixels), classes, name)
        if familiarity.shape != (len(pixels),) or not isfinite(familiarity.sum()):
            raise ModelFormatError(
                f"{name}: for {plural(len(pixels), 'image')} it gives familiarity scores of shape "
                f"{familiarity.shape}, expected one finite number per image: export it again"
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
    remedy = EXTERNAL_REMEDY if external else REMEDY
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
    """Refuse outputs that are not one row of finite numbers per image.

    Raises:
        ModelFormatError: wrong shape, NaN or infinity.
    """
    if answers.shape != (images, classes):
        raise ModelFormatError(
            f"{name}: for {plural(images, 'image')} its output has shape {answers.shape}, expected ({images}, "
            f"{classes}): export it again with a dynamic batch axis"
        )
    if not isfinite(np.vdot(answers, answers)):  # the fastest sum that is finite only without NaN and infinity
        raise ModelFormatError(
            f"{name}: its output has NaN or infinity: its weights or its scaling are broken; export it again"
        )


def _matches(shape: tuple[int | None, ...], layout: tuple[int, ...], *, open_sides: bool) -> bool:
    if len(shape) != 4 or not (shape[0] is None or open_sides):
        return False
    return all(has == needs or (has is None and open_sides) for has, needs in zip(shape[1:], layout, strict=True))
