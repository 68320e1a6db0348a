"""Rewrites of an ONNX graph, in place, that make it faster without changing its results.

Each rewrite is a function with a test that the results are equal. ``batch`` replaces the traced batch size by any
batch size, ``layout`` removes operators that only move values, ``fuse`` replaces several operators by one, ``pixels``
and ``grouping`` change the input, and ``names`` makes names reproducible.
"""

from pipeline.export.freeze import IMAGE
from pipeline.export.rewrites.batch import TRACED_BATCH, free_batch, share_batch_constants
from pipeline.export.rewrites.fuse import (
    fold_constants_and_normalization,
    fuse_hard_sigmoids,
    fuse_hard_swishes,
    pad_inside_pools,
    pool_spatial_reductions,
)
from pipeline.export.rewrites.grouping import group_pixels
from pipeline.export.rewrites.layout import activate_before_transposing, merge_reshapes
from pipeline.export.rewrites.names import number_names
from pipeline.export.rewrites.pixels import PIXELS, scale_pixels, take_pixels_as_quantized

__all__ = [
    "IMAGE",
    "PIXELS",
    "TRACED_BATCH",
    "activate_before_transposing",
    "fold_constants_and_normalization",
    "free_batch",
    "fuse_hard_sigmoids",
    "fuse_hard_swishes",
    "group_pixels",
    "merge_reshapes",
    "number_names",
    "pad_inside_pools",
    "pool_spatial_reductions",
    "scale_pixels",
    "share_batch_constants",
    "take_pixels_as_quantized",
]
