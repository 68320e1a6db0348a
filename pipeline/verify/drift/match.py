"""Match the layers of the reference to the tensors of a converted graph.

Conversion seldom keeps names, so tensors are matched by their numbers and by the order of computation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.difference import correlation, snr_db
from pipeline.verify.drift.keras_tap import IMAGE, Layer
from pipeline.verify.drift.taps import Lineage, Values

CERTAIN_DB = 20.0
"""An absorbable layer counts as found only if a tensor has at least this signal-to-noise ratio against it."""
TIE = 1e-3
"""Correlations within this of the highest count as equal."""
SAMPLE = 20_000
"""Most values of a layer that are compared."""


@dataclass(frozen=True)
class Match:
    """A tensor of the converted graph that was matched to a layer.

    Attributes:
        value: the tensor's name.
        channels_first: whether its order is C, H, W.
    """

    value: str
    channels_first: bool


def match(layers: Sequence[Layer], reference: Values, values: Values, lineage: Lineage) -> dict[str, Match]:
    """Find the layers of the reference in a converted graph.

    The candidates for a layer are the tensors that have as many numbers as its output and are computed from the tensors
    of the layers that it reads. The candidate with the highest correlation is taken, even if that is low, because a
    drifted layer correlates badly. Only an absorbable layer, whose output may exist nowhere, needs ``CERTAIN_DB``.

    Args:
        layers: in the order of computation.
        reference: layer name -> its output on a few images, float32 (N, ...).
        values: tensor name -> its value on the same images, float32 (N, ...).
        lineage: which tensor of the converted graph is computed from which.

    Returns:
        Layer name -> match, for the layers that were found.
    """
    anchors: dict[str, tuple[str, ...]] = {IMAGE: ()}
    found: dict[str, Match] = {}
    shared: set[str] = set()
    for layer in layers:
        above = tuple(dict.fromkeys(anchor for source in layer.inputs for anchor in anchors[source]))
        used = () if layer.view else tuple(anchor for anchor in above if anchor not in shared)
        below = {
            name: values[name]
            for name in lineage.order
            if name in values and name not in used and all(lineage.descends(name, anchor) for anchor in above)
        }
        best = _best(layer, reference[layer.name], below)
        if best is not None and layer.absorbable:
            shared.add(best.value)  # may be the next layer's tensor, if that layer changed nothing on these images
        if best is not None:
            found[layer.name] = best
            anchors[layer.name] = (best.value,)
        else:
            anchors[layer.name] = above
    return found


def _best(layer: Layer, expected: NDArray[np.float32], values: Mapping[str, NDArray[np.float32]]) -> Match | None:
    scores: dict[Match, tuple[float, float]] = {}
    sampled = np.linspace(0, expected.size - 1, min(expected.size, SAMPLE), dtype=np.int64)
    wanted = expected.ravel()[sampled]
    for name, value in values.items():
        if value.size != expected.size:
            continue
        for channels_first in (False, True) if layer.spatial else (False,):
            got = arrange(value, layer, channels_first=channels_first).ravel()[sampled]
            scores[Match(name, channels_first)] = correlation(wanted, got), snr_db(wanted, got)
    if not scores:
        return None
    highest = max(score for score, _ in scores.values())
    # Scaled copies of a tensor correlate equally: take the closest in value.
    close = [candidate for candidate, (score, _) in scores.items() if score >= highest - TIE]
    best = max(close, key=lambda candidate: scores[candidate][1])
    return None if layer.absorbable and scores[best][1] < CERTAIN_DB else best


def arrange(value: NDArray[np.float32], layer: Layer, *, channels_first: bool) -> NDArray[np.float32]:
    """Flatten a tensor to (N, numbers) in Keras's order H, W, C."""
    if channels_first and layer.spatial:
        height, width, channels = layer.spatial
        value = np.moveaxis(value.reshape(len(value), channels, height, width), 1, -1)
    return value.reshape(len(value), -1)
