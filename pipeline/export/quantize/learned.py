"""Ranges that quantization-aware training learned, for the tensors of a converted graph."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.documents.quantize_aware import QuantizeAware
from pipeline.errors import ExportError
from pipeline.export.load.deployable import Deployable
from pipeline.export.load.head import logits_model
from pipeline.export.quantize.ranges import Activations, Ranges, T
from pipeline.export.quantize.simulation import Simulation, Taps

Signature = NDArray[np.float64]
"""Four numbers of a tensor for each of N images, (4, N)."""
SIGNED = 16
"""Images by which tensors are known again."""
SAME = 0.02
"""Largest distance of two signatures of the same values, in the tensor's deviation: converters round in float, and fold
pixel scaling with half a step left over."""


class Activated(Protocol):
    """Goes through images, batch by batch, in their order."""

    def __call__(self, pixels: NDArray[np.uint8], reduce: Callable[[Activations], T]) -> Iterable[T]:
        """What ``reduce`` makes of the activations of each batch."""
        ...


def simulation_of(deployable: Deployable, network: keras.Model) -> Simulation:
    """The network of a classifier up to its logits, which reads images as ``Deployable.scaling`` makes them."""
    scales = set(deployable.scaling.then(deployable.front.scaling).scale)
    return Simulation(network, abs(scales.pop()) if len(scales) == 1 else None)


@dataclass(frozen=True)
class Learned:
    """What training left for a network.

    Attributes:
        deployable: the network.
        trained: how it was rounded.
    """

    deployable: Deployable
    trained: QuantizeAware

    def ranges(self, pixels: NDArray[np.uint8], activations: Activated) -> Ranges:
        """The learned range of every tensor of a converted graph that is a point of the network.

        Args:
            pixels: uint8 (N, S, S, 3), images of which the first ``SIGNED`` are enough.
            activations: of the converted graph, in float.

        Raises:
            ExportError: the ranges are those of another network.
        """
        network = logits_model(self.deployable.model, self.deployable.temperature)
        simulation = simulation_of(self.deployable, network)
        if set(simulation.points) != set(self.trained.ranges):
            raise ExportError(
                f"the learned ranges belong to another network: they name {len(self.trained.ranges)} points, the "
                f"network has {len(simulation.points)}; train again with --quantize-aware"
            )
        taps: Taps = {}
        pixels = pixels[:SIGNED]
        signed: dict[str, list[Signature]] = {}
        for batch in activations(pixels, _signatures):
            for tensor, part in batch.items():
                signed.setdefault(tensor, []).append(part)
        image = tf.convert_to_tensor(self.deployable.scaling(pixels))
        logits = simulation(image, taps=taps)
        known = [(name, signature(np.asarray(value))) for name, values in taps.items() for value in values]
        tempered = {name for name, values in taps.items() if any(value is logits for value in values)}
        found: Ranges = {}
        for tensor, parts in signed.items():
            own = np.concatenate(parts, axis=1)
            name, distance = min(((name, _distance(other, own)) for name, other in known), key=lambda pair: pair[1])
            if distance <= SAME:
                low, high = self.trained.ranges[name]
                divisor = self.deployable.temperature if name in tempered else 1.0
                found[tensor] = low / divisor, high / divisor
        return found


def signature(values: NDArray[np.float32]) -> Signature:
    """Minimum, maximum, mean and deviation of a tensor (N, ...) for each image.

    By these a tensor of a converted graph is known again, whatever it is called there and however its axes lie.
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    return np.stack([flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1), flat.std(axis=1)])


def _signatures(activations: Activations) -> dict[str, Signature]:
    return {name: signature(values) for name, values in activations.items()}


def _distance(expected: Signature, got: Signature) -> float:
    """Mean distance of two signatures (4, N), in deviations of the expected values."""
    return float(np.abs(expected - got).mean() / max(expected[3].mean(), 1e-12))
