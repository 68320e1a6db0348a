"""Assign the ranges that quantization-aware training learned to the tensors of a converted graph."""

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
"""Four statistics of a tensor for each of N images, (4, N); see ``signature``."""
SIGNED = 16
"""Number of images on which signatures are compared."""
SAME = 0.02
"""Largest distance between two signatures of the same tensor, in standard deviations of its values. It is above 0,
because converted graphs round differently, and folding of pixel scaling changes the padding by up to half a step."""


class Activated(Protocol):
    """A function that runs a converted graph on images, batch by batch, in their order."""

    def __call__(self, pixels: NDArray[np.uint8], reduce: Callable[[Activations], T]) -> Iterable[T]:
        """Return the results of ``reduce`` on the activations of each batch."""
        ...


def simulation_of(deployable: Deployable, network: keras.Model) -> Simulation:
    """Simulate ``network``, a classifier up to its logits, which takes images after ``Deployable.scaling``."""
    scales = set(deployable.scaling.then(deployable.front.scaling).scale)
    return Simulation(network, abs(scales.pop()) if len(scales) == 1 else None)


@dataclass(frozen=True)
class Learned:
    """A network and the ranges that quantization-aware training learned for it.

    Attributes:
        deployable: the network.
        trained: the learned ranges and the rounding of weights.
    """

    deployable: Deployable
    trained: QuantizeAware

    def ranges(self, pixels: NDArray[np.uint8], activations: Activated) -> Ranges:
        """Return the learned ranges by the tensor names of a converted graph; tensors without a range are left out.

        A tensor of the graph gets the range of the point of ``simulation`` whose signature is nearest, up to ``SAME``.

        Args:
            pixels: uint8 (N, H, W, 3); the first ``SIGNED`` images are used.
            activations: gives the float activations of the converted graph.

        Raises:
            ExportError: the ranges were learned for another network.
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
    """Compute minimum, maximum, mean and standard deviation of a tensor (N, ...) for each image, (4, N).

    They identify a tensor in a converted graph, where its name and the order of its axes may differ.
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    return np.stack([flat.min(axis=1), flat.max(axis=1), flat.mean(axis=1), flat.std(axis=1)])


def _signatures(activations: Activations) -> dict[str, Signature]:
    return {name: signature(values) for name, values in activations.items()}


def _distance(expected: Signature, got: Signature) -> float:
    """Return the mean absolute difference of two signatures, (4, N), in standard deviations of the expected tensor."""
    return float(np.abs(expected - got).mean() / max(expected[3].mean(), 1e-12))
