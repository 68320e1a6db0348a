"""The networks: built as they are deployed, built as they are trained, and folded from the one into the other."""

from pipeline.models.build import build, build_trainable, check_side
from pipeline.models.fold import fold
from pipeline.models.presets import PRESETS
from pipeline.models.summary import LayerSummary, format_summary, summarize

__all__ = ["PRESETS", "LayerSummary", "build", "build_trainable", "check_side", "fold", "format_summary", "summarize"]
