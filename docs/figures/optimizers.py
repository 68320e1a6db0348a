"""Count the nodes of the fp32 graphs after two general optimizers, and after our own rewrites.

onnxslim and onnxscript are not part of the environment; only this count needs them.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx

from docs.figures.graph import NOTES, other_networks
from pipeline import artifacts
from pipeline.errors import PipelineError
from pipeline.export.freeze import IMAGE
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.model import load_exported
from pipeline.export.onnx import clean
from pipeline.export.translate import OPSET, translate
from pipeline.system.quiet import log_hidden

ASKED_FOR = SLIM, SCRIPT = ("onnxslim", "onnxscript")

Graphs = dict[str, onnx.ModelProto]


def count_nodes() -> dict[str, Any]:
    """Count the nodes of the graphs of the shipped reference and of two other networks, after each optimizer.

    Returns:
        ``versions`` of the tools, and ``nodes``: optimizer -> network -> [nodes, transposes].

    Raises:
        PipelineError: an optimizer is not installed.
    """
    missing = [tool for tool in ASKED_FOR if find_spec(tool) is None]
    if missing:
        raise PipelineError(
            f"{' and '.join(missing)}: not installed, and not part of the environment; to compare our graphs with "
            f"theirs: .venv/bin/pip install {' '.join(missing)}"
        )
    reference = load_exported(artifacts.REFERENCE_DIR)
    networks = {NOTES: reference, **dict(other_networks(reference.class_names))}
    graphs = {name: _graphs(network) for name, network in networks.items()}
    return {
        "versions": {tool: version(tool) for tool in (*ASKED_FOR, "onnx", "tf2onnx")},
        "nodes": {way: {name: _count(made[way]) for name, made in graphs.items()} for way in graphs[NOTES]},
    }


def _graphs(deployable: Deployable) -> Graphs:
    """Build the graph of a network with each optimizer."""
    translated, optimized = translate(deployable), _by_tf2onnx(deployable)
    return {
        "translated, fixed batch": translated,
        **_by_others("translated", translated),
        "translated, our rewrites": clean(_copy(translated)),
        "tf2onnx's own optimizer": optimized,
        **_by_others("tf2onnx's own", optimized),
    }


def _by_others(name: str, model: onnx.ModelProto) -> Graphs:
    slim: Callable[[onnx.ModelProto], onnx.ModelProto] = import_module(SLIM).slim
    optimize: Callable[[onnx.ModelProto], onnx.ModelProto] = import_module(f"{SCRIPT}.optimizer").optimize
    with log_hidden():
        return {f"{name}, {SLIM}": slim(_copy(model)), f"{name}, {SCRIPT}": optimize(_copy(model))}


def _by_tf2onnx(deployable: Deployable) -> onnx.ModelProto:
    """Convert a network as tf2onnx's documentation describes, with a free batch size."""
    signature = [tf.TensorSpec((None, deployable.side, deployable.side, 3), tf.float32, name=IMAGE)]
    with log_hidden():
        function = tf.function(deployable.trace, input_signature=signature)
        model: onnx.ModelProto = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)[0]
    return model


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _count(model: onnx.ModelProto) -> list[int]:
    kinds = [node.op_type for node in model.graph.node]
    return [len(kinds), kinds.count("Transpose")]
