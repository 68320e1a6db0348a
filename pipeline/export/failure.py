"""Why a format could not be written, in one sentence with the layer's name."""

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
"""How TensorFlow Lite's converter and ONNX Runtime name operators that they do not know."""
PLACES = (
    re.compile(r'fused\["\w+:", "([^"@]+)'),
    re.compile(r"Node[:,] ?\(?[\"']?([\w./]+)"),
    re.compile(r'loc\("([^"@]+)'),
)
"""How they name the operator's place."""


def why_not(error: Exception) -> str:
    """What a converter, a quantizer or an engine says of a network that it does not take."""
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
    """What the first pattern that is found stands for."""
    searches = (pattern.search(text) for pattern in patterns)
    return next((found.group(1).strip() for found in searches if found), None)
