"""Time one int8 dense layer with every operator that ONNX Runtime has for it, each in a graph of its own.

The layer is the largest one of the notes' network, 1,024 to 500, which takes most of the time of its int8 file.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure

INPUTS, OUTPUTS, BLOCK = 1_024, 500, 32
OPSET, IR_VERSION = 17, 8
CONTRIBUTED = "com.microsoft"
IDLE = "idle"


def time_dense_operators(rounds: int) -> dict[str, float]:
    """Return each operator's median time in µs on one row and one thread, minus that of a graph that does nothing."""
    timed = measure({name: _runner(graph) for name, graph in _graphs().items()}, [None], rounds)
    idle = median_us(timed[IDLE])
    return {name: median_us(values) - idle for name, values in timed.items() if name != IDLE}


def _graphs() -> dict[str, onnx.ModelProto]:
    random = np.random.default_rng(0)
    weights = random.integers(-127, 128, (INPUTS, OUTPUTS), np.int8)
    row = {"scale": np.float32(0.01), "zero": np.uint8(0)}
    by_output = {"weight_scales": np.full(OUTPUTS, 0.01, np.float32), "weight_zeros": np.zeros(OUTPUTS, np.int8)}
    bias = {"bias": np.zeros(OUTPUTS, np.int32)}
    result = {"result_scale": np.float32(0.1), "result_zero": np.uint8(0)}
    kernel = {"weights": np.ascontiguousarray(weights.T)[:, :, np.newaxis, np.newaxis]}
    blocks = {
        "weights": random.integers(0, 256, (OUTPUTS, INPUTS // BLOCK, BLOCK), np.uint8),
        "scales": np.full(OUTPUTS * INPUTS // BLOCK, 0.01, np.float32),
    }
    matrix = {"weights": weights}
    return {
        IDLE: _graph("Shape", {}, TensorProto.INT64),
        "QGemm": _graph("QGemm", row | matrix | by_output | bias | result, domain=CONTRIBUTED),
        "QGemm with float result": _graph(
            "QGemm", row | matrix | by_output | bias, TensorProto.FLOAT, domain=CONTRIBUTED
        ),
        "QLinearMatMul (no bias)": _graph("QLinearMatMul", row | matrix | by_output | result),
        "MatMulInteger (sums only)": _graph("MatMulInteger", matrix, TensorProto.INT32),
        "QLinearConv of 1x1": _graph(
            "QLinearConv", row | kernel | by_output | result | bias, shape=[1, 1, 1, INPUTS],
            domain=CONTRIBUTED, channels_last=1, kernel_shape=[1, 1],
        ),
        f"MatMulNBits of 8 bits in blocks of {BLOCK}": _graph(
            "MatMulNBits", blocks, TensorProto.FLOAT, source=TensorProto.FLOAT,
            domain=CONTRIBUTED, K=INPUTS, N=OUTPUTS, bits=8, block_size=BLOCK, accuracy_level=4,
        ),
        "Gemm of float32": _graph(
            "Gemm", {"weights": weights.astype(np.float32)}, TensorProto.FLOAT, source=TensorProto.FLOAT
        ),
    }  # fmt: skip


def _graph(
    operator: str,
    constants: dict[str, Any],
    result: int = TensorProto.UINT8,
    *,
    source: int = TensorProto.UINT8,
    shape: list[int] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(operator, ["row", *constants], ["result"], **attributes)],
        operator,
        [helper.make_tensor_value_info("row", source, shape or [1, INPUTS])],
        [helper.make_tensor_value_info("result", result, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    versions = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)


def _runner(model: onnx.ModelProto) -> Callable[[None], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    row = session.get_inputs()[0]
    random = np.random.default_rng(0)
    value = random.integers(0, 256, row.shape).astype(np.uint8 if "uint8" in row.type else np.float32)
    return lambda _: session.run(None, {row.name: value})
