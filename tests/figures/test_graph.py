import shutil

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from docs.figures import graph
from docs.figures.files import BENCHMARK_GRAPH
from docs.figures.graph import STOCK_ONNX, STOCK_TFLITE, benchmark_graph, format_graph_benchmark
from docs.figures.graph.dense_operators import time_dense_operators
from docs.figures.graph.profile_onnx import CALL, format_profile, profile_onnx
from docs.figures.graph.profile_tflite import profile_tflite
from docs.figures.graph.rewrite_ablation import ablate_rewrites, format_ablation
from pipeline import artifacts
from pipeline.export.load.deployable import Deployable
from pipeline.formats import MODEL_FILES


def squares(runs, arguments, _rounds):
    """Stand in for ``measure``: run each once, and answer the square of its place in µs."""
    for run in runs.values():
        run(*arguments)
    return {name: [[1_000 * place**2]] for place, name in enumerate(runs, start=1)}


def test_every_node_of_the_optimized_graph_has_its_cost(reference, monkeypatch):
    monkeypatch.setitem(profile_onnx.__globals__, "measure", squares)
    content = (reference / artifacts.INT8_ONNX).read_bytes()
    rows = profile_onnx(content, np.zeros((1, 32, 32, 3), np.uint8), rounds=1)
    assert rows[0]["node"] == CALL
    assert len(rows) < len(onnx.load_from_string(content).graph.node)  # quantizing and dequantizing nodes are fused
    assert sum("Conv" in row["operator"] for row in rows) == 3
    assert [row["us"] for row in rows] == [2 * place + 1 for place in range(len(rows))]
    assert format_profile(rows).splitlines()[-1].split() == ["total", f"{len(rows) ** 2:.1f}"]


def test_every_operator_of_a_flatbuffer_has_its_cost(reference, monkeypatch):
    monkeypatch.setitem(profile_tflite.__globals__, "measure", squares)
    content = (reference / artifacts.INT8_TFLITE).read_bytes()
    rows = profile_tflite(content, np.zeros((1, 32, 32, 3), np.uint8), rounds=1)
    operators = [row["operator"] for row in rows]
    assert operators.count("CONV_2D") == 3
    assert operators[-1] == "SOFTMAX"
    assert [row["us"] for row in rows] == [2 * place + 1 for place in range(len(rows))]


def test_a_rewrite_is_worth_something_only_where_it_changes_the_graph():
    keras.utils.set_random_seed(0)
    body = [layers.Conv2D(8, 3, padding="same", activation="relu"), layers.Flatten(), layers.Dense(3)]
    deployable = Deployable(keras.Sequential([keras.Input((16, 16, 3)), *body]), ("a", "b", "c"))
    ratios = ablate_rewrites(deployable, np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), np.uint8), rounds=1)
    assert ratios["without merge_reshapes"] is not None
    assert ratios["without fuse_hard_swishes"] is None
    assert ratios["without group_pixels"] is None  # the kernel reaches to the left
    shown = [line.split() for line in format_ablation({"small": ratios}).splitlines()]
    assert ["without", "merge_reshapes", f"{ratios['without merge_reshapes']:.2f}"] in shown
    assert ["without", "group_pixels", "-"] in shown


def test_every_dense_operator_runs():
    assert len(time_dense_operators(rounds=1)) == 7


def small_networks(class_names, names=(graph.RESNET, graph.MOBILENET)):
    """Replace the large networks by ones with a single convolution, under the same names."""
    keras.utils.set_random_seed(0)
    for name, layer in zip(names, (layers.AveragePooling2D(2), layers.DepthwiseConv2D(3)), strict=True):
        convolution = layers.Conv2D(8, 3, 2, padding="same", activation="relu")
        end = [layers.GlobalAveragePooling2D(), layers.Dense(len(class_names), activation="softmax")]
        yield name, Deployable(keras.Sequential([keras.Input((32, 32, 3)), convolution, layer, *end]), class_names)


@pytest.mark.slow
def test_our_files_are_compared_with_the_stock_files(reference, tmp_path, monkeypatch):
    large = (graph.LARGE_MOBILENET, graph.LARGE_EFFICIENTNET)
    monkeypatch.setattr(graph, "other_networks", small_networks)
    monkeypatch.setattr(graph, "large_networks", lambda: small_networks(("a", "b"), large))
    monkeypatch.setattr(graph, "LARGE_SIDE", 32)
    for name in (artifacts.MANIFEST, artifacts.HISTORY, artifacts.MODEL_KERAS, *MODEL_FILES):
        shutil.copy(reference / name, tmp_path)
    report = benchmark_graph(tmp_path, rounds=1)
    assert report == artifacts.read_json(tmp_path / BENCHMARK_GRAPH)
    assert {STOCK_ONNX, STOCK_TFLITE, *MODEL_FILES} < set(report["median_us_per_image"])
    medians = report["median_us_per_image"]
    for bar in report["bars"]:
        assert bar["value"] == medians[bar["name"]] / medians[bar["against"]]
        assert bar["met"] == (bar["value"] <= bar["limit"])
    assert "stock int8 ONNX" in format_graph_benchmark(report)
