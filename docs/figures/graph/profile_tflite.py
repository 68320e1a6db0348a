"""Profile an int8 TFLite file operator by operator, with XNNPACK.

LiteRT's Python interpreter has no profiler, and XNNPACK computes many operators in one call. As with ONNX, the graph is
cut after each operator in turn; the time of an operator is the difference between two consecutive cuts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from docs.figures.graph.bare_engines import tflite_run
from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure

NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def profile_tflite(content: bytes, pixels: NDArray[np.uint8], rounds: int) -> list[dict[str, Any]]:
    """Measure the median time in µs of each operator on one image and one thread, in the order of execution.

    Args:
        content: a TFLite file.
        pixels: uint8 (1, H, W, 3).
        rounds: of timing.

    Returns:
        Rows of ``node``, ``operator`` and ``us``; the first operator's time includes the call of the engine.
    """
    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = flatbuffer.subgraphs[0]
    cuts = {str(count): tflite_run(_cut(content, count), pixels) for count in range(1, len(graph.operators) + 1)}
    medians = [median_us(values) for values in measure(cuts, [pixels], rounds).values()]
    rows, before = [], 0.0
    for operator, median in zip(graph.operators, medians, strict=True):
        code = flatbuffer.operatorCodes[operator.opcodeIndex]
        name = graph.tensors[operator.outputs[0]].name.decode().partition(";")[0]
        rows.append({"node": name, "operator": NAMES[code.builtinCode], "us": median - before})
        before = median
    return rows


def _cut(content: bytes, count: int) -> bytes:
    """Keep the first ``count`` operators; tensors that none of them reads become outputs."""
    flatbuffer = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    graph = flatbuffer.subgraphs[0]
    graph.operators = graph.operators[:count]
    read = {int(tensor) for operator in graph.operators for tensor in operator.inputs}
    written = [int(tensor) for operator in graph.operators for tensor in operator.outputs]
    graph.outputs = [tensor for tensor in written if tensor not in read]
    flatbuffer.signatureDefs = []  # they refer to the old output
    return bytes(flatbuffer_utils.convert_object_to_bytearray(flatbuffer))
