"""Profile an ONNX graph node by node, more precisely than the engine's own profiler.

ONNX Runtime's profiler counts whole microseconds and adds one or two to every node, which is most of the time of a node
in a small network. Here the graph, optimized as the engine runs it, is cut after each node in turn. The cut graphs are
timed interleaved; the time of a node is the difference between two consecutive cuts.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from runtime.benchmark.statistics import median_us
from runtime.benchmark.timing import measure
from runtime.engines.onnxruntime import EXACT_INT8

CALL = "calling the engine"


def profile_onnx(content: bytes, pixels: NDArray[np.uint8], rounds: int) -> list[dict[str, Any]]:
    """Measure the median time in µs of each node on one image and one thread, in the order of execution.

    Args:
        content: an ONNX file.
        pixels: uint8 (1, H, W, 3).
        rounds: of timing.

    Returns:
        Rows of ``node``, ``operator`` and ``us``; the first row is a graph that does nothing.
    """
    optimized = _optimized(content)
    nodes = list(optimized.graph.node)
    cuts: dict[str, Callable[[Any], Any]] = {CALL: _runner(_idle(optimized), pixels)}
    for count in range(1, len(nodes) + 1):
        cuts[str(count)] = _runner(_cut(optimized, count), pixels)
    medians = [median_us(values) for values in measure(cuts, [pixels], rounds).values()]
    rows = [{"node": CALL, "operator": "", "us": medians[0]}]
    for node, before, after in zip(nodes, medians[:-1], medians[1:], strict=True):
        rows.append({"node": node.name, "operator": node.op_type, "us": after - before})
    return rows


def _optimized(content: bytes) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        options.log_severity_level = 4
        options.add_session_config_entry(*EXACT_INT8)
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _cut(model: onnx.ModelProto, count: int) -> onnx.ModelProto:
    """Keep the first ``count`` nodes; tensors that none of them reads become outputs."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    del cut.graph.node[count:]
    read = {name for node in cut.graph.node for name in node.input}
    unread = [name for node in cut.graph.node for name in node.output if name and name not in read]
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.ValueInfoProto(name=name) for name in unread)
    return cut


def _idle(model: onnx.ModelProto) -> onnx.ModelProto:
    idle = onnx.ModelProto()
    idle.CopyFrom(model)
    del idle.graph.node[:]
    node = onnx.helper.make_node("Shape", [model.graph.input[0].name], ["shape"])
    idle.graph.node.append(node)
    del idle.graph.output[:]
    idle.graph.output.append(onnx.ValueInfoProto(name="shape"))
    return idle


def _runner(model: onnx.ModelProto, pixels: NDArray[np.uint8]) -> Callable[[Any], Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry(*EXACT_INT8)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it has been optimized
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: pixels}
    return lambda _: session.run(None, feed)


def format_profile(rows: list[dict[str, Any]]) -> str:
    """Format the times as a table."""
    lines = [f"{'operator':<22}{'us':>7}  node"]
    lines += [f"{row['operator'] or '-':<22}{row['us']:>7.1f}  {row['node']}" for row in rows]
    return "\n".join([*lines, f"{'total':<22}{sum(row['us'] for row in rows):>7.1f}"])
