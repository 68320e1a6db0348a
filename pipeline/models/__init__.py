"""The networks: presets in their trainable and deployed forms, folding of one into the other, pretrained networks."""

from pipeline.models.build import build, build_trainable, check_side
from pipeline.models.fold import fold
from pipeline.models.presets import PRESETS
from pipeline.models.pretrained import PRETRAINED, check_pretrained_side, pretrained
from pipeline.models.summary import LayerSummary, format_summary, summarize

__all__ = [
    "PRESETS",
    "PRETRAINED",
    "LayerSummary",
    "build",
    "build_trainable",
    "check_pretrained_side",
    "check_side",
    "fold",
    "format_summary",
    "pretrained",
    "summarize",
]
