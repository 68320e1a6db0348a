"""Export to ONNX: the graph takes uint8 pixels and gives float32 probabilities, for any batch size."""

from collections.abc import Callable, Sequence

import onnx

from pipeline.export import rewrites
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.scaling import PixelScaling
from pipeline.export.translate import translate
from runtime.engines.checksum import add_checksum
from runtime.golden import GOLDEN_KEY, GoldenSet
from runtime.spec import SPEC_KEY, ModelSpec

Rewrite = Callable[[onnx.ModelProto], None]
CLEANING: tuple[Rewrite, ...] = (
    rewrites.pool_spatial_reductions,
    rewrites.fold_constants_and_normalization,
    rewrites.merge_reshapes,
    rewrites.fuse_hard_sigmoids,
    rewrites.fuse_hard_swishes,
    rewrites.pad_inside_pools,
    rewrites.activate_before_transposing,
    rewrites.share_batch_constants,
    rewrites.free_batch,
    rewrites.number_names,
)
"""The order matters: some rewrites prepare others, and shapes are known only while the batch size is fixed."""


def convert(deployable: Deployable) -> onnx.ModelProto:
    """Convert to a clean graph: ``image``, scaled, float32 (N, H, W, 3), to probabilities, float32 (N, C)."""
    return clean(translate(deployable))


def clean(model: onnx.ModelProto, cleaning: Sequence[Rewrite] = CLEANING) -> onnx.ModelProto:
    """Apply the rewrites ``cleaning`` to ``model`` in place, check it, and return it."""
    for rewrite in cleaning:
        rewrite(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def fp32(network: onnx.ModelProto, scaling: PixelScaling) -> onnx.ModelProto:
    """Return a copy of the float graph that takes uint8 pixels and scales them itself."""
    graph = _copy(network)
    rewrites.scale_pixels(graph, scaling)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def with_metadata(graph: onnx.ModelProto, spec: ModelSpec, golden: GoldenSet | None = None) -> bytes:
    """Return the bytes of the file: the graph with spec and golden set in its metadata, and a checksum."""
    carrying = _copy(graph)
    entries = {SPEC_KEY: spec.to_json()} | ({GOLDEN_KEY: golden.to_json()} if golden else {})
    onnx.helper.set_model_props(carrying, entries)
    return add_checksum(carrying.SerializeToString(deterministic=True))


def _copy(graph: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy
