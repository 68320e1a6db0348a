"""Which layer goes back to float when a quantised network fails its gate."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.export.quantize.layer import Layer
from pipeline.export.quantize.ranges import Activations


def noise_to_signal(exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> float:
    """Energy of the error as a share of the signal's."""
    signal = float(np.square(exact, dtype=np.float64).sum())
    return float(np.square(rounded - exact, dtype=np.float64).sum()) / max(signal, 1e-30)


def next_float_layer(
    layers: Sequence[Layer], exact: Activations, rounded: Activations, kept_float: Sequence[str]
) -> tuple[str, float] | None:
    """The layer to give back to float next, and the noise-to-signal ratio that it adds.

    A layer adds what its output is noisier than its inputs. Where the noisiest one is float already, its noise came in
    with its quantised input: then the nearest int8 layer before it goes. (A convolution whose channels lie far apart
    shows little error itself; the layer that reads its small channels does.)

    Returns:
        ``None`` when every layer is float.
    """
    noise = [noise_to_signal(exact[layer.output], rounded[layer.output]) for layer in layers]
    added = [
        own - max((noise[producer] for producer in layer.producers), default=0.0)
        for own, layer in zip(noise, layers, strict=True)
    ]
    for position in sorted(range(len(layers)), key=lambda index: -added[index]):
        chosen = _nearest_quantised(layers, position, kept_float)
        if chosen is not None:
            return layers[chosen].output, added[position]
    return None


def _nearest_quantised(layers: Sequence[Layer], position: int, kept_float: Sequence[str]) -> int | None:
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
