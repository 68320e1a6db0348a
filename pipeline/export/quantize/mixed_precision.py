"""Choose the layers to return to float when a quantized network fails the acceptance criteria."""

from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.documents.manifest import LayerNoise
from pipeline.export.quantize.layer import Layer, float_share
from pipeline.export.quantize.ranges import Activations
from pipeline.metrics.difference import energy, noise_ratio

WORST = 1e9
"""Stands for a noise-to-signal ratio that is no finite number."""


def noise_to_signal(names: Sequence[str], batches: Iterable[tuple[Activations, Activations]]) -> list[float]:
    """Compute the noise-to-signal ratio of each tensor: squared quantization error divided by squared signal.

    Args:
        names: names of the tensors; the ratios have the same order.
        batches: for each batch, the tensors of the float network and those of the quantized one.
    """
    signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for exact, rounded in batches:
        for name in names:
            signal[name] += energy(exact[name])
            noise[name] += energy(rounded[name] - exact[name])
    return [noise_ratio(signal[name], noise[name]) for name in names]


def next_float_layers(
    layers: Sequence[Layer], noise: Sequence[float], kept_float: Sequence[str]
) -> list[tuple[str, float]]:
    """Return the layers to return to float next, each with the noise-to-signal ratio that it adds.

    At first this is one layer; from 8 float layers on it is a quarter of their number, so that few steps show whether a
    deep network can pass at all.

    Args:
        layers: all layers, in topological order.
        noise: noise-to-signal ratio of each layer's output.
        kept_float: outputs of the layers that are float already.

    Returns:
        (output of the layer, added ratio) for each; empty if every layer is float.
    """
    found: list[tuple[str, float]] = []
    for _ in range(max(len(kept_float) // 4, 1)):
        step = next_float_layer(layers, noise, [*kept_float, *(name for name, _ in found)])
        if step is not None:
            found.append(step)
    return found


def next_float_layer(
    layers: Sequence[Layer], noise: Sequence[float], kept_float: Sequence[str]
) -> tuple[str, float] | None:
    """Return the layer to return to float next, and the noise-to-signal ratio that it adds.

    A layer adds the ratio of its output minus the largest ratio of its inputs. If the layer that adds most is float
    already, its noise comes from its quantized input, and the nearest int8 layer before it is returned instead. (A
    convolution whose channels have very different ranges shows little error in its own output; the error shows in the
    layer that reads its small channels.)

    Args:
        layers: all layers, in topological order.
        noise: noise-to-signal ratio of each layer's output.
        kept_float: outputs of the layers that are float already.

    Returns:
        (output of the layer, added ratio); ``None`` if every layer is float.
    """
    added = added_noise(layers, noise)
    for position in sorted(range(len(layers)), key=lambda index: -added[index]):
        chosen = _nearest_quantized(layers, position, kept_float)
        if chosen is not None:
            return layers[chosen].output, added[position]
    return None


def added_noise(layers: Sequence[Layer], noise: Sequence[float]) -> list[float]:
    """Compute the noise that each layer adds to that of its inputs."""
    return [
        own - max((noise[producer] for producer in layer.producers), default=0.0)
        for own, layer in zip(noise, layers, strict=True)
    ]


def layer_entries(layers: Sequence[Layer], noise: Sequence[float], in_float: Sequence[Layer]) -> tuple[LayerNoise, ...]:
    """Describe the layers for the manifest.

    Args:
        layers: in the data's order.
        noise: noise-to-signal ratio of each layer's output.
        in_float: the layers that the file computes in float.
    """
    ratios = np.nan_to_num(np.array(noise), nan=WORST, posinf=WORST).tolist()
    return tuple(
        LayerNoise(
            name=layer.output,
            noise=own,
            added=added,
            multiplications=float_share(layers, [layer]),
            in_float=layer in in_float,
        )
        for layer, own, added in zip(layers, ratios, added_noise(layers, ratios), strict=True)
    )


def _nearest_quantized(layers: Sequence[Layer], position: int, kept_float: Sequence[str]) -> int | None:
    """Index of the int8 layer nearest to ``position``: itself, or the first in a breadth-first search of producers."""
    queue, seen = [position], {position}
    while queue:
        current = queue.pop(0)
        if layers[current].output not in kept_float:
            return current
        fresh = [producer for producer in layers[current].producers if producer not in seen]
        seen.update(fresh)
        queue += fresh
    return None
