"""Where an ONNX file spends its time, node by node, as ONNX Runtime's own profiler tells it."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from pipeline.artifacts import read_json

WARM_UP, RUNS = 50, 500


def node_profile(path: Path, side: int) -> list[dict[str, Any]]:
    """Mean time of each node on one image and one thread, the slowest first.

    Args:
        path: a file that takes uint8 pixels (1, S, S, 3).
        side: S.

    Returns:
        A row a node: ``operator``, ``node``, ``mean_us`` (the profiler counts whole microseconds, so medians would be
        too coarse), and its ``share`` of all, 0-1.
    """
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
        for _ in range(WARM_UP + RUNS):
            session.run(None, {session.get_inputs()[0].name: image})
        events = read_json(Path(session.end_profiling()))
    times: dict[tuple[str, str], list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            key = event["args"]["op_name"], event["name"].removesuffix("_kernel_time")
            times.setdefault(key, []).append(event["dur"])
    means = {key: float(np.mean(values[WARM_UP:])) for key, values in times.items()}
    total = sum(means.values()) or 1.0
    return [
        {"operator": operator, "node": node, "mean_us": round(mean, 2), "share": round(mean / total, 4)}
        for (operator, node), mean in sorted(means.items(), key=lambda item: -item[1])
    ]
