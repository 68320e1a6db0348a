"""From a preset's name to a Keras model, as it is deployed or as it is trained."""

import keras

from pipeline.errors import ArchitectureError
from pipeline.models.presets import PRESETS
from pipeline.models.units import Deployed, Trainable, Units


def build(preset: str = "notes", class_count: int = 10, side: int = 32) -> keras.Model:
    """A network as it is deployed: float32 (N, S, S, 3) in 0-1 to float32 (N, C) probabilities.

    Args:
        preset: a key of ``PRESETS``.
        class_count: number of classes, 2 or more.
        side: height and width of the images in pixels, a multiple of the preset's reduction.

    Raises:
        ArchitectureError: no such preset, or a shape that it cannot have.
    """
    model = _assemble(preset, class_count, side, Deployed())
    if any(isinstance(layer, keras.layers.Add) for layer in model.layers):
        return model
    return keras.Sequential(model.layers, name=model.name)  # a plain stack of layers reads and saves simpler


def build_trainable(
    preset: str = "notes", class_count: int = 10, side: int | None = 32, *, dropout: float = 0.0, reparam: bool = False
) -> keras.Model:
    """The same network with all that helps in training and vanishes in ``fold``; its outputs are logits.

    Args:
        preset: as in ``build``.
        class_count: as in ``build``.
        side: as in ``build``; ``None`` for a network that takes images of any side.
        dropout: share of activations dropped, from 0 up to but not including 1.
        reparam: whether spatial convolutions get parallel linear branches.

    Raises:
        ArchitectureError: as in ``build``, or a network of one side where any is asked for.
    """
    if side is None and preset in PRESETS and PRESETS[preset].one_side:
        raise ArchitectureError(
            f"{preset} takes images of one side, so it cannot begin on images of half the side: leave --half-side out"
        )
    return _assemble(preset, class_count, side, Trainable(dropout, reparam))


def check_side(preset: str, side: int) -> None:
    """Refuse a side that a preset cannot have, before any photo is read.

    Raises:
        ArchitectureError: no such preset, or a side that its reductions do not divide.
    """
    if preset not in PRESETS:
        raise ArchitectureError(f"no model {preset!r}: choose one of {', '.join(PRESETS)}")
    reduction = PRESETS[preset].reduction
    if side < reduction or side % reduction:
        raise ArchitectureError(
            f"side {side} does not survive being divided by {reduction} in {preset}: choose a multiple of {reduction}"
        )


def _assemble(preset: str, class_count: int, side: int | None, units: Units) -> keras.Model:
    if side is not None:
        check_side(preset, side)
    if class_count < 2:
        raise ArchitectureError(f"a classifier needs at least 2 classes, got {class_count}")
    image = keras.Input((side, side, 3), name="image")
    return keras.Model(image, PRESETS[preset].topology(units, image, class_count), name=preset)
