"""Keras -> ONNX: uint8 pixels in, float32 probabilities out, dynamic batch."""

from collections.abc import Callable, Sequence

import onnx
import tensorflow as tf
import tf2onnx

from pipeline.export import rewrites
from pipeline.export.freeze import IMAGE, OUTPUT, freeze
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import PixelScaling
from pipeline.system.quiet import log_hidden
from runtime.engines.checksum import add_checksum
from runtime.golden import GOLDEN_KEY, GoldenSet
from runtime.spec import SPEC_KEY, ModelSpec

OPSET = 17
Rewrite = Callable[[onnx.ModelProto], None]
CLEANING: tuple[Rewrite, ...] = (
    rewrites.pool_spatial_reductions,
    rewrites.fold_constants_and_normalization,
    rewrites.merge_reshapes,
    rewrites.fuse_hard_sigmoids,
    rewrites.fuse_hard_swishes,
    rewrites.pad_inside_pools,
    rewrites.activate_before_transposing,
    rewrites.free_batch,
    rewrites.number_names,
)
"""In this order: one makes room for the next, and the batch is fixed as long as shapes are asked for."""


def convert(deployable: Deployable) -> onnx.ModelProto:
    """The network as a clean graph: ``image`` float32 (N, S, S, 3), scaled, to probabilities float32 (N, C)."""
    return clean(translate(deployable))


def clean(model: onnx.ModelProto, cleaning: Sequence[Rewrite] = CLEANING) -> onnx.ModelProto:
    """The same graph, rewritten in place."""
    for rewrite in cleaning:
        rewrite(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def translate(deployable: Deployable) -> onnx.ModelProto:
    """The network as tf2onnx writes it, for a batch of ``rewrites.TRACED_BATCH`` images."""
    return translate_function(deployable.trace, deployable.side)


def translate_function(function: Callable[[tf.Tensor], tf.Tensor], side: int) -> onnx.ModelProto:
    """The same of any function of float32 images (N, S, S, 3)."""
    network = freeze(function, side, tf.float32, rewrites.TRACED_BATCH)
    # Of tf2onnx only the translation: its from_keras does not know Keras 3, its optimizers are slow on large models,
    # and ONNX Runtime folds the same.
    with log_hidden(), tf.Graph().as_default() as graph:
        tf.import_graph_def(network.graph.as_graph_def(), name="")
        translated = tf2onnx.tfonnx.process_tf_graph(
            graph,
            input_names=[f"{IMAGE}:0"],
            output_names=[f"{OUTPUT}:0"],
            tensors_to_rename={f"{IMAGE}:0": IMAGE, f"{OUTPUT}:0": OUTPUT},
            opset=OPSET,
        )
    model: onnx.ModelProto = translated.make_model("edgecnn")
    return model


def fp32(network: onnx.ModelProto, scaling: PixelScaling) -> onnx.ModelProto:
    """The deployable fp32 graph, scaling included."""
    graph = _copy(network)
    rewrites.scale_pixels(graph, scaling)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def with_metadata(graph: onnx.ModelProto, spec: ModelSpec, golden: GoldenSet | None = None) -> bytes:
    """The file's bytes, with its checksum, with the spec and the golden set in its metadata."""
    carrying = _copy(graph)
    entries = {SPEC_KEY: spec.to_json()} | ({GOLDEN_KEY: golden.to_json()} if golden else {})
    onnx.helper.set_model_props(carrying, entries)
    return add_checksum(carrying.SerializeToString(deterministic=True))


def _copy(graph: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy
