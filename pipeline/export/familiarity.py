"""The second output of model files: the familiarity of an image, a score for whether it shows one of the classes.

The score is the largest logit. Softmax discards a constant that is added to all logits, and this constant separates
images of none of the classes better than the largest probability does. The logits are divided by the temperature,
which does not change the order of images. An image whose score is below the file's threshold shows none of the classes.
Source: D. Hendrycks et al., "Scaling out-of-distribution detection for real-world settings", 2022 (their MaxLogit).

ONNX files compute the largest logit with an operator. Files of other formats output the logits, which needs no
operator, and the runtime takes the largest.

A score that does not tell photos of the classes from other pictures does harm, because the device trusts it. So export
checks it first (``check``), and leaves it out unless the user asks for it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from pipeline.data import synthetic
from pipeline.data.dataset import Dataset, in_batches
from pipeline.documents.base import MIN_IMAGES_FOR_VERDICT
from pipeline.documents.known import FamiliarityCheck
from pipeline.errors import ExportError
from pipeline.formats import Format
from pipeline.metrics.classification import auroc
from pipeline.metrics.significance import auroc_interval
from runtime.engines.base import FAMILIARITY, Pixels, Scored
from runtime.spec import NONE_CLASS, ModelSpec

BATCH = 256
MOST_JUDGED, TEXTURES = 300, 50
"""``check`` judges at most so many photos, and so many synthetic pictures of each kind."""
KEEP = 0.95
"""The default share of the validation images whose familiarity reaches the threshold."""
PASSED = ("DequantizeLinear", "QuantizeLinear", "Cast", "Identity")
"""Operators that may lie between softmax and the output in ONNX; ``PASSED_TFLITE`` in TFLite."""
PASSED_TFLITE = (schema.BuiltinOperator.DEQUANTIZE, schema.BuiltinOperator.QUANTIZE)


def is_wanted(row: Format, keep: float | None) -> bool:
    """Return whether files of a format are to report familiarity; ``keep`` is that of ``pipeline.export.Settings``."""
    return row.container.is_familiarity_cheap if keep is None else keep < 1


def familiarity_graph(graph: Any, row: Format, *, required: bool) -> Any | None:
    """Add a second output, the familiarity, to a graph of a format; ``None`` if it ends in no softmax.

    Raises:
        NoSoftmaxError: familiarity is required, and the graph does not end in a softmax.
    """
    try:
        return row.with_familiarity(graph)
    except NoSoftmaxError:
        if required:
            raise
        return None


def check(logits: Callable[[Pixels], NDArray[np.float32]], images: Dataset, *, required: bool) -> FamiliarityCheck:
    """Measure how well familiarity tells photos of the classes from synthetic pictures and photos of class ``none``.

    Args:
        logits: gives Keras's logits, (N, C), of pixels, uint8 (N, H, W, 3).
        images: the validation images, none of them trained on.
        required: whether files are to report familiarity in any case.
    """
    own, others = divide(images)
    if len(own) < MIN_IMAGES_FOR_VERDICT:
        return FamiliarityCheck(photos=len(own), written=required)
    shown = own[np.arange(min(len(own), MOST_JUDGED)) * len(own) // min(len(own), MOST_JUDGED)]
    strange = np.concatenate([*synthetic.textures(images.size, TEXTURES).values(), others[:MOST_JUDGED]])
    area = auroc(logits(shown).max(axis=1), logits(strange).max(axis=1))
    low, high = auroc_interval(area, len(shown), len(strange))
    found = FamiliarityCheck(photos=len(own), auroc=area, low=low, high=high, written=True)
    return found.model_copy(update={"written": required or found.is_useful})


class NoSoftmaxError(ExportError):
    """A graph does not end in a softmax, so that it has no logits to take familiarity from."""

    def __init__(self, got: str) -> None:
        super().__init__(
            f"familiarity is the largest logit of a softmax, but the graph ends in {got}; leave out --keep"
        )


def of_onnx(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a graph with a second output ``familiarity``, float32 (N,).

    Raises:
        NoSoftmaxError: the graph does not end in a softmax.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    answers = copy.graph.output[0]
    logits = _softmax(copy.graph, answers.name).input[0]
    largest = onnx.helper.make_node("ReduceMax", [logits], [FAMILIARITY], FAMILIARITY, axes=[1], keepdims=0)
    copy.graph.node.append(largest)
    batch = answers.type.tensor_type.shape.dim[0]
    axis = batch.dim_param or batch.dim_value or None
    copy.graph.output.append(onnx.helper.make_tensor_value_info(FAMILIARITY, onnx.TensorProto.FLOAT, [axis]))
    onnx.checker.check_model(copy, full_check=True)
    return copy


def of_tflite(content: bytes) -> bytes:
    """Return a copy of a flatbuffer whose second output is the logits, (1, C), under the name ``familiarity``.

    Raises:
        NoSoftmaxError: the graph does not end in a softmax.
    """
    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = flatbuffer.subgraphs[0]
    producers = {int(output): operator for operator in graph.operators for output in operator.outputs}
    operator, kind = producers.get(int(graph.outputs[0])), None
    while operator is not None:
        kind = flatbuffer.operatorCodes[operator.opcodeIndex].builtinCode
        if kind not in PASSED_TFLITE:
            break
        operator = producers.get(int(operator.inputs[0]))
    if operator is None or kind != schema.BuiltinOperator.SOFTMAX:
        raise NoSoftmaxError("another operator")
    logits = int(operator.inputs[0])
    graph.tensors[logits].name = FAMILIARITY.encode()
    graph.outputs = [int(graph.outputs[0]), logits]
    flatbuffer.signatureDefs = []  # they list the first output only
    return bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer))


def with_threshold(spec: ModelSpec, familiarity: NDArray[np.float32], images: Dataset, keep: float | None) -> ModelSpec:
    """Return the spec with the familiarity threshold that the share ``keep`` of the images reaches.

    Args:
        spec: the file's spec.
        familiarity: the file's familiarity of each image, (N,).
        images: the N images, none of them trained on; images of the class ``none`` are left out.
        keep: share (0-1) of the images that reach the threshold; ``None``: ``KEEP``.
    """
    return replace(
        spec, known_threshold=threshold_for_share(familiarity[~_shows_none(images)], KEEP if keep is None else keep)
    )


def scores(scored: Callable[[Pixels], Scored], pixels: Pixels) -> NDArray[np.float32]:
    """Compute the familiarity of each image, float32 (N,); ``pixels`` are uint8 (N, H, W, 3)."""
    return np.concatenate([scored(np.ascontiguousarray(batch))[1] for batch in in_batches(pixels, BATCH)])


def threshold_for_share(familiar: NDArray[np.float32], share: float) -> float:
    """Return the score that the share (0-1) ``share`` of the images reaches; ``familiar`` has one per image, (N,)."""
    return float(np.quantile(familiar, 1 - share, method="lower"))


def divide(images: Dataset) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Separate the pixels, uint8 (N, H, W, 3), of the images of all other classes from those of the class ``none``."""
    shows_none = _shows_none(images)
    if not shows_none.any():
        return images.pixels, images.pixels[:0]
    return images.pixels[~shows_none], images.pixels[shows_none]


def _shows_none(images: Dataset) -> NDArray[np.bool_]:
    """Return whether each image is of the class ``none``, bool (N,); all false if every image is of this class."""
    if not images.labeled or NONE_CLASS not in images.class_names:
        return np.zeros(len(images), bool)
    shows_none: NDArray[np.bool_] = images.labels == images.class_names.index(NONE_CLASS)
    return shows_none & ~shows_none.all()


def _softmax(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    producers = {output: node for node in graph.node for output in node.output}
    node = producers.get(name)
    while node is not None and node.op_type in PASSED:
        node = producers.get(node.input[0])
    if node is None or node.op_type != "Softmax":
        got = "nothing" if node is None else node.op_type
        raise NoSoftmaxError(got)
    return node
