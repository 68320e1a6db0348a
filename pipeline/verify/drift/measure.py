"""Measure the distance of each layer of a converted graph from the reference, over many images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.difference import Distance
from pipeline.verify.drift.keras_tap import PROBABILITIES, KerasTap, Layer
from pipeline.verify.drift.match import Match, arrange, match
from pipeline.verify.drift.taps import Tap

CHUNK = 8
"""Images per batch: the outputs of all layers for a batch are in memory at once."""
LOST_DB, HEALED_DB = 10.0, 20.0
"""A match below ``LOST_DB`` may be wrong; no layer, not even ReLU or pooling, improves the ratio by ``HEALED_DB``."""


@dataclass(frozen=True)
class Drift:
    """A layer that was found in the converted graph: its tensor, and the tensor's distance from the reference."""

    match: Match
    distance: Distance


def measure(reference: KerasTap, taps: Mapping[str, Tap], pixels: NDArray[np.uint8]) -> dict[str, dict[str, Drift]]:
    """Compare the layers of several graphs with the reference.

    Args:
        reference: the Keras model.
        taps: file name -> converted graph.
        pixels: uint8 (N, H, W, 3).

    Returns:
        File name -> layer name -> drift, for the layers that were found.
    """
    found: dict[str, dict[str, Drift]] = {}
    for chunk in _chunks(pixels):
        expected = reference(chunk)
        for name, tap in taps.items():
            values = tap(chunk)
            if name not in found:
                matches = match(reference.layers, expected, values, tap.lineage)
                found[name] = {layer: Drift(matched, Distance()) for layer, matched in matches.items()}
            for layer in reference.layers:
                drift = found[name].get(layer.name)
                if drift is not None:
                    value = values[drift.match.value]
                    drift.distance.add(
                        expected[layer.name], arrange(value, layer, channels_first=drift.match.channels_first)
                    )
    return {name: _without_healed(reference.layers, drifts) for name, drifts in found.items()}


def _chunks(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    for start in range(0, len(pixels), CHUNK):
        yield pixels[start : start + CHUNK]


def _without_healed(layers: Sequence[Layer], drifts: dict[str, Drift]) -> dict[str, Drift]:
    """Drop layers all of whose readers are far closer to the reference: these were matched to a wrong tensor."""
    readers: dict[str, list[str]] = {}
    for layer in layers:
        for source in layer.inputs:
            readers.setdefault(source, []).append(layer.name)

    def healed(name: str) -> bool:
        after, own = readers.get(name, []), drifts[name].distance.snr_db
        # A softmax saturates: close probabilities do not show that the logits are close.
        return (
            own < LOST_DB
            and bool(after)
            and all(
                reader in drifts and reader != PROBABILITIES and drifts[reader].distance.snr_db > own + HEALED_DB
                for reader in after
            )
        )

    return {name: drift for name, drift in drifts.items() if not healed(name)}


def first_past(drifts: Mapping[str, Drift], layers: Sequence[Layer], threshold_db: float) -> str | None:
    """Return the name of the first layer below a signal-to-noise ratio, ``None`` if there is none."""
    return next(
        (layer.name for layer in layers if layer.name in drifts and drifts[layer.name].distance.snr_db < threshold_db),
        None,
    )


def steepest(drifts: Mapping[str, Drift], layers: Sequence[Layer]) -> tuple[str, float] | None:
    """Return the layer that adds most noise: its name, and by how many dB it is below the worst of its inputs."""
    above: dict[str, float] = {}
    steps: dict[str, float] = {}
    for layer in layers:
        known = [above[source] for source in layer.inputs if source in above]
        before = min(known, default=None)
        if layer.name in drifts:
            above[layer.name] = drifts[layer.name].distance.snr_db
            if before is not None and layer.name != PROBABILITIES:
                steps[layer.name] = before - above[layer.name]
        elif before is not None:
            above[layer.name] = before
    if not steps:
        return None
    name = max(steps, key=lambda step: steps[step])
    return name, steps[name]
