"""The CNN of the course notes: square images in, layers that get deeper and smaller, class probabilities out.

Every block is Conv2D (kernel 2, 'same', ReLU) and MaxPooling2D (2); then Flatten, Dense 500 (ReLU), Dense softmax.
"""

import math
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from pipeline.errors import ArchitectureError

HIDDEN_UNITS = 500
KERNEL_SIZE = 2


@dataclass(frozen=True)
class Architecture:
    """What fixes the network's shape.

    Attributes:
        class_count: number of classes, 2 or more.
        side: height and width of the input images in pixels; divisible by 2 once a block.
        filters: output channels of each block's convolution.
    """

    class_count: int = 10
    side: int = 32
    filters: tuple[int, ...] = (16, 32, 64)

    def __post_init__(self) -> None:
        if self.class_count < 2:
            raise ArchitectureError(f"a classifier needs at least 2 classes, got {self.class_count}")
        if not self.filters or min(self.filters) < 1:
            raise ArchitectureError(f"every block needs at least 1 filter, got filters {self.filters}")
        factor = 2 ** len(self.filters)
        if self.side < factor or self.side % factor:
            raise ArchitectureError(
                f"side {self.side} does not survive {len(self.filters)} poolings by 2: "
                f"choose a multiple of {factor}, or fewer filters"
            )


def build(architecture: Architecture = Architecture()) -> keras.Model:
    """The network as it is deployed: float32 (N, S, S, 3) in 0-1 to float32 (N, C) probabilities."""
    stack: list[keras.layers.Layer] = [keras.Input((architecture.side, architecture.side, 3), name="image")]
    for filters in architecture.filters:
        stack += [layers.Conv2D(filters, KERNEL_SIZE, padding="same", activation="relu"), layers.MaxPooling2D(2)]
    stack += [
        layers.Flatten(),
        layers.Dense(HIDDEN_UNITS, activation="relu"),
        layers.Dense(architecture.class_count, activation="softmax"),
    ]
    return keras.Sequential(stack)


def build_trainable(architecture: Architecture, dropout: float) -> keras.Model:
    """The same network with batch normalisation and dropout, both of which vanish in ``fold``."""
    stack: list[keras.layers.Layer] = [keras.Input((architecture.side, architecture.side, 3), name="image")]
    for filters in architecture.filters:
        stack += [
            layers.Conv2D(filters, KERNEL_SIZE, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
        ]
    stack += [
        layers.Flatten(),
        layers.Dropout(dropout),
        layers.Dense(HIDDEN_UNITS, use_bias=False),
        layers.BatchNormalization(momentum=0.9),
        layers.ReLU(),
        layers.Dropout(dropout),
        layers.Dense(architecture.class_count, activation="softmax"),
    ]
    return keras.Sequential(stack)


def fold(trained: keras.Model, architecture: Architecture) -> keras.Model:
    """The deployed network computing exactly what ``trained`` computes at inference.

    Batch normalisation after a bias-free linear layer is a scale of its kernel and a bias
    (Jacob et al., 2018, section 3.2).
    """
    deployed = build(architecture)
    targets = [layer for layer in deployed.layers if layer.weights]
    sources = [layer for layer in trained.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    norms = [layer for layer in trained.layers if isinstance(layer, layers.BatchNormalization)]
    for target, source, norm in zip(targets, sources, norms, strict=False):
        gamma, beta, mean, variance = (weight.astype(np.float64) for weight in norm.get_weights())
        scale = gamma / np.sqrt(variance + norm.epsilon)
        target.set_weights([source.get_weights()[0] * scale, beta - mean * scale])
    targets[-1].set_weights(sources[-1].get_weights())
    return deployed


@dataclass(frozen=True)
class LayerSummary:
    """One row of the layer table. ``output_shape`` leaves out the batch axis."""

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_accumulates: int


def summarize(model: keras.Model) -> list[LayerSummary]:
    """Output shape, parameters and multiply-accumulates of one image, layer by layer."""
    rows = []
    for layer in model.layers:
        shape = tuple(int(extent) for extent in layer.output.shape[1:])
        macs = 0
        if isinstance(layer, layers.Conv2D | layers.Dense):
            kernel = layer.get_weights()[0]
            macs = math.prod(kernel.shape) * math.prod(shape[:-1])
        rows.append(LayerSummary(type(layer).__name__, shape, layer.count_params(), macs))
    return rows


def format_summary(rows: list[LayerSummary]) -> str:
    """The layer table as text, with a line of totals."""
    lines = [f"{'layer':<14}{'output':>14}{'parameters':>13}{'mult-adds':>13}"]
    for row in rows:
        shape = "x".join(map(str, row.output_shape))
        lines.append(f"{row.name:<14}{shape:>14}{row.parameters:>13,}{row.multiply_accumulates:>13,}")
    parameters, macs = sum(row.parameters for row in rows), sum(row.multiply_accumulates for row in rows)
    lines.append(f"{'total':<28}{parameters:>13,}{macs:>13,}")
    return "\n".join(lines)
