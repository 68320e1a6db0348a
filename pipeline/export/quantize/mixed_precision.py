"""Which layer goes back to float when a quantized network fails its criteria."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.export.quantize.layer import Layer
from pipeline.export.quantize.ranges import Activations


def noise_to_signal(names: Sequence[str], batches: Iterable[tuple[Activations, Activations]]) -> list[float]:
    """Energy of the error as a share of the signal's, one a tensor, in the order of the names.

    Args:
        names: of the tensors.
        batches: every tensor in float, and as the quantized network has it; none is kept.
    """
    signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for exact, rounded in batches:
        for name in names:
            signal[name] += _energy(exact[name])
            noise[name] += _energy(rounded[name] - exact[name])
    return [noise[name] / max(signal[name], 1e-30) for name in names]


def next_float_layers(
    layers: Sequence[Layer], noise: Sequence[float], kept_float: Sequence[str]
) -> list[tuple[str, float]]:
    """The layers to give back to float next, each with the noise-to-signal ratio that it adds.

    One at a time at first. Where that is not enough, a quarter more each time, so that a deep network that int8 ruins
    is told so after few tries.

    Args:
        layers: in the data's order.
        noise: noise-to-signal ratio of each layer's output.
        kept_float: layers that are float already.

    Returns:
        Empty when every layer is float.
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
    """The layer to give back to float next, and the noise-to-signal ratio that it adds.

    A layer adds the noise that its output has and its inputs have not. Where the noisiest one is float already, its
    noise came in with its quantized input: then the nearest int8 layer before it goes. (A convolution whose channels
    lie far apart shows little error itself; the layer that reads its small channels does.)

    Args:
        layers: in the data's order.
        noise: noise-to-signal ratio of each layer's output.
        kept_float: layers that are float already.

    Returns:
        ``None`` when every layer is float.
    """
    added = [
        own - max((noise[producer] for producer in layer.producers), default=0.0)
        for own, layer in zip(noise, layers, strict=True)
    ]
    for position in sorted(range(len(layers)), key=lambda index: -added[index]):
        chosen = _nearest_quantized(layers, position, kept_float)
        if chosen is not None:
            return layers[chosen].output, added[position]
    return None


def _energy(values: NDArray[np.float32]) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _nearest_quantized(layers: Sequence[Layer], position: int, kept_float: Sequence[str]) -> int | None:
    """The position itself, or breadth-first against the data's way the first layer that is still int8."""
    queue, seen = [position], {position}
    while queue:
        current = queue.pop(0)
        if layers[current].output not in kept_float:
            return current
        fresh = [producer for producer in layers[current].producers if producer not in seen]
        seen.update(fresh)
        queue += fresh
    return None
