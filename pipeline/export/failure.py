"""Turn the exception of a converter, quantizer or engine into one sentence that names the layer."""

import re
from collections.abc import Iterable

from pipeline.errors import PipelineError
from pipeline.export.translate import layer_of
from runtime.errors import EdgecnnError

SHOWN = 300
OPERATORS = (
    re.compile(r"(?:Flex|Custom) ops: ([\w, ]+)"),
    re.compile(r"No Op registered for (\w+)"),
    re.compile(r"error: '?tf\.(\w+)' op"),
)
"""The operator's name in error messages of TensorFlow Lite's converter and ONNX Runtime about unknown operators."""
PLACES = (
    re.compile(r'fused\["\w+:", "([^"@]+)'),
    re.compile(r"Node[:,] ?\(?[\"']?([\w./]+)"),
    re.compile(r'loc\("([^"@]+)'),
)
"""The operator's location in the same messages."""


def why_not(error: Exception) -> str:
    """Give the reason in one sentence: the missing operator, or the first line of the message, and the layer."""
    if isinstance(error, PipelineError | EdgecnnError):
        return str(error)
    text = str(error)
    operators, place = _first(OPERATORS, text), _first(PLACES, text)
    layer = f" (layer {layer_of(place)})" if place and "/" in place else ""
    if operators:
        return f"it has no operator for {operators}{layer}"
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    line = lines[0] if len(lines[0]) <= SHOWN else f"{lines[0][:SHOWN]}…"
    return f"{type(error).__name__}: {line}{layer}"


def _first(patterns: Iterable[re.Pattern[str]], text: str) -> str | None:
    """Return the first group of the first pattern that occurs in ``text``."""
    searches = (pattern.search(text) for pattern in patterns)
    return next((found.group(1).strip() for found in searches if found), None)
