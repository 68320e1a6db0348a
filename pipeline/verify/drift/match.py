"""Which value of a converted graph is which layer of the reference: names seldom survive, numbers and order do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.difference import correlation, snr_db
from pipeline.verify.drift.keras_tap import IMAGE, Layer
from pipeline.verify.drift.taps import Lineage, Values

CERTAIN_DB = 20.0
"""A layer that a converter may have absorbed counts as found only where a value is this close to it."""
TIE = 1e-3
SAMPLE = 20_000
"""The most numbers of a layer that are compared to find it."""


@dataclass(frozen=True)
class Match:
    """A value of the converted graph.

    Attributes:
        value: its name there.
        channels_first: its numbers are in the order C, H, W.
    """

    value: str
    channels_first: bool


def match(layers: Sequence[Layer], reference: Values, values: Values, lineage: Lineage) -> dict[str, Match]:
    """Find the layers of the reference in a converted graph.

    A layer's value has as many numbers as the layer gives and is computed from the values of the layers that it
    reads. Of all such values the best correlated one is taken, however bad: that is what a drifted layer looks like.
    Only where a converter may have absorbed the layer, so that its value may exist nowhere, must it be close.

    Args:
        layers: in the order of computation.
        reference: what each layer gives on a few images.
        values: the values of the converted graph on the same images.
        lineage: how they descend from one another.

    Returns:
        The found layers only.
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
            shared.add(best.value)  # it may be the result of what follows, which changed nothing on these images
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
    # Scaled copies correlate alike; the closest in value is the one.
    close = [candidate for candidate, (score, _) in scores.items() if score >= highest - TIE]
    best = max(close, key=lambda candidate: scores[candidate][1])
    return None if layer.absorbable and scores[best][1] < CERTAIN_DB else best


def arrange(value: NDArray[np.float32], layer: Layer, *, channels_first: bool) -> NDArray[np.float32]:
    """A value as (N, numbers) in the order in which Keras has them."""
    if channels_first and layer.spatial:
        height, width, channels = layer.spatial
        value = np.moveaxis(value.reshape(len(value), channels, height, width), 1, -1)
    return value.reshape(len(value), -1)
