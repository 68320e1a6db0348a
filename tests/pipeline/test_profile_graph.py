import numpy as np
import onnx

from pipeline import artifacts
from pipeline.profile_graph import CALL, format_profile, profile_graph


def test_every_node_of_the_optimised_graph_has_its_cost(reference):
    content = (reference / artifacts.INT8_ONNX).read_bytes()
    rows = profile_graph(content, np.zeros((1, 32, 32, 3), np.uint8), rounds=1)
    assert rows[0]["node"] == CALL
    assert len(rows) < len(onnx.load_from_string(content).graph.node)  # quantising and dequantising nodes are fused
    assert sum("Conv" in row["operator"] for row in rows) == 3
    assert sum(row["us"] for row in rows) > 0
    assert format_profile(rows).splitlines()[-1].startswith("total")
