"""A second output of the ONNX files: how familiar an image is, and from which score on it shows one of the classes.

The score is the largest logit, before the temperature: softmax forgets by how much all logits are large, and that tells
pictures of none of the classes better than the largest probability does. Source: D. Hendrycks et al., "Scaling
out-of-distribution detection for real-world settings", 2022 (their MaxLogit).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from pipeline.data.dataset import in_batches
from pipeline.errors import ExportError
from runtime.engines.base import FAMILIARITY, ScoringBackend
from runtime.spec import ModelSpec

BATCH = 256
PASSED = ("DequantizeLinear", "QuantizeLinear", "Cast", "Identity")
"""What may stand between softmax and the output."""


def with_familiarity(graph: onnx.ModelProto, temperature: float) -> onnx.ModelProto:
    """A copy of a graph that also gives ``familiarity``, float32 (N,).

    Args:
        graph: images to the probabilities of a softmax.
        temperature: what it divides the logits by.

    Raises:
        ExportError: no softmax gives its answers.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    answers = copy.graph.output[0]
    logits = _softmax(copy.graph, answers.name).input[0]
    names = [f"{FAMILIARITY}_{part}" for part in ("largest", "temperature")]
    copy.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(temperature), names[1]))
    copy.graph.node.extend(
        [
            onnx.helper.make_node("ReduceMax", [logits], [names[0]], names[0], axes=[1], keepdims=0),
            onnx.helper.make_node("Mul", names, [FAMILIARITY], FAMILIARITY),
        ]
    )
    batch = answers.type.tensor_type.shape.dim[0]
    axis = batch.dim_param or batch.dim_value or None
    copy.graph.output.append(onnx.helper.make_tensor_value_info(FAMILIARITY, onnx.TensorProto.FLOAT, [axis]))
    onnx.checker.check_model(copy, full_check=True)
    return copy


def with_threshold(
    spec: ModelSpec, pack: Callable[[ModelSpec], bytes], load: Callable[[bytes], Any],
    pixels: NDArray[np.uint8], keep: float,
) -> ModelSpec:  # fmt: skip
    """The spec with the score from which on a share ``keep`` (0-1) of these images is known.

    Args:
        spec: of a graph with familiarity.
        pack: makes the file's bytes.
        load: runs them.
        pixels: uint8 (N, S, S, 3), of the classes, none of which trained.
        keep: share of them that is to be known.
    """
    engine: ScoringBackend = load(pack(replace(spec, known_threshold=0.0)))
    scores = np.concatenate([engine.scored(np.ascontiguousarray(batch))[1] for batch in in_batches(pixels, BATCH)])
    return replace(spec, known_threshold=float(np.quantile(scores, 1 - keep, method="lower")))


def _softmax(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    producers = {output: node for node in graph.node for output in node.output}
    node = producers.get(name)
    while node is not None and node.op_type in PASSED:
        node = producers.get(node.input[0])
    if node is None or node.op_type != "Softmax":
        got = "nothing" if node is None else node.op_type
        raise ExportError(
            f"what is familiar is told by the logits of a softmax, and {got} answers here; leave out --keep"
        )
    return node
