"""Translate a Deployable to ONNX with tf2onnx, after replacing operators that tf2onnx does not support."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import tensorflow as tf
import tf2onnx

from pipeline.errors import ExportError
from pipeline.export import rewrites
from pipeline.export.freeze import IMAGE, OUTPUT, Size, frozen_graph
from pipeline.export.load.deployable import Deployable
from pipeline.system.quiet import log_hidden
from runtime.text import first_of

OPSET = 17


def translate(deployable: Deployable) -> onnx.ModelProto:
    """Translate the network to an ONNX graph with the fixed batch size ``rewrites.TRACED_BATCH``.

    Raises:
        ExportError: tf2onnx has no ONNX operator for an operator of the network.
    """
    return translate_function(deployable.trace, deployable.size)


def translate_function(function: Callable[[tf.Tensor], tf.Tensor], size: Size) -> onnx.ModelProto:
    """Translate, like ``translate``, any function of float32 images (N, H, W, 3)."""
    with _inlined():
        definition = frozen_graph(function, size, tf.float32, rewrites.TRACED_BATCH)
    spell_out(definition)
    # Only the translation of tf2onnx is used: its from_keras does not support Keras 3, its optimizers are slow on large
    # models, and ONNX Runtime folds the same constants.
    with log_hidden(), tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        translated = tf2onnx.tfonnx.process_tf_graph(
            graph,
            input_names=[f"{IMAGE}:0"],
            output_names=[f"{OUTPUT}:0"],
            tensors_to_rename={f"{IMAGE}:0": IMAGE, f"{OUTPUT}:0": OUTPUT},
            opset=OPSET,
        )
    model: onnx.ModelProto = translated.make_model("edgecnn")
    _refuse_unknown_operators(model)
    return model


@contextmanager
def _inlined() -> Iterator[None]:
    """Inline functions of the network into its graph; Keras wraps grouped convolutions in a function for XLA."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(run_eagerly=True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def spell_out(definition: Any) -> None:
    """Replace, in place, operators that tf2onnx does not support.

    ``Erfc(x)`` becomes ``1 - Erf(x)``, and ``Expm1(x)`` becomes ``Exp(x) - 1``.
    """
    for node in [node for node in definition.node if node.op in ("Erfc", "Expm1")]:
        kind = "Erf" if node.op == "Erfc" else "Exp"
        inner, one = definition.node.add(), definition.node.add()
        inner.CopyFrom(node)
        inner.name, inner.op = f"{node.name}/{kind}", kind
        one.name, one.op = f"{node.name}/one", "Const"
        one.attr["dtype"].type = node.attr["T"].type
        one.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1.0, tf.as_dtype(node.attr["T"].type)))
        node.op = "Sub"
        node.input[:] = [one.name, inner.name] if kind == "Erf" else [inner.name, one.name]


def _refuse_unknown_operators(model: onnx.ModelProto) -> None:
    unknown = [node for node in model.graph.node if not onnx.defs.has(node.op_type, node.domain)]
    if unknown:
        found = dict.fromkeys(f"{node.op_type} (layer {layer_of(node.name)})" for node in unknown)
        raise ExportError(f"the converter to ONNX has no operator for {first_of(list(found))}")


def layer_of(path: str) -> str:
    """Find the layer in the name of an operator: ``dense_1/Gelu`` in ``functional_1/dense_1/Gelu/Erfc``."""
    parts = path.split("/")
    return "/".join(parts[1:-1]) or path
