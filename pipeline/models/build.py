"""Build a preset as a Keras model, in its deployed or its trainable form."""

import keras

from pipeline.errors import ArchitectureError
from pipeline.models.presets import PRESETS
from pipeline.models.units import Deployed, Trainable, Units


def build(preset: str = "notes", class_count: int = 10, side: int = 32, width: int | None = None) -> keras.Model:
    """Build the deployed form of a network: float32 (N, H, W, 3) in 0-1 to float32 (N, C) probabilities.

    Args:
        preset: a key of ``PRESETS``.
        class_count: number of classes, 2 or more.
        side: height and width of the images in pixels, a multiple of the preset's reduction.
        width: width of the images if it is not ``side``, which is then the height.

    Raises:
        ArchitectureError: the preset does not exist, or cannot have this size or number of classes.
    """
    model = _assemble(preset, class_count, (side, width or side), Deployed())
    if any(isinstance(layer, keras.layers.Add) for layer in model.layers):
        return model
    return keras.Sequential(model.layers, name=model.name)  # a Sequential model is simpler to read and to save


def build_trainable(  # noqa: PLR0913 - the last three by name
    preset: str = "notes",
    class_count: int = 10,
    side: int | None = 32,
    *,
    width: int | None = None,
    dropout: float = 0.0,
    reparam: bool = False,
) -> keras.Model:
    """Build the trainable form of a network, with layers that ``fold`` merges or removes; its outputs are logits.

    Args:
        preset: as in ``build``.
        class_count: as in ``build``.
        side: as in ``build``; ``None`` for a network that takes images of any side.
        width: as in ``build``.
        dropout: share of activations dropped, in [0, 1).
        reparam: whether spatial convolutions get parallel linear branches.

    Raises:
        ArchitectureError: as in ``build``, or ``side`` is ``None`` for a network that needs a fixed side.
    """
    if side is None and preset in PRESETS and PRESETS[preset].one_side:
        raise ArchitectureError(
            f"{preset} takes images of one side, so it cannot begin on images of half the side: leave --half-side out"
        )
    return _assemble(preset, class_count, (side, width or side), Trainable(dropout, reparam))


def check_side(preset: str, *sides: int) -> None:
    """Refuse a side, or a height and a width, that a preset cannot have, before any photo is read.

    Raises:
        ArchitectureError: the preset does not exist, or a side is not a multiple of its reduction.
    """
    if preset not in PRESETS:
        raise ArchitectureError(f"no model {preset!r}: choose one of {', '.join(PRESETS)}")
    reduction = PRESETS[preset].reduction
    for side in sides:
        if side < reduction or side % reduction:
            raise ArchitectureError(
                f"side {side} does not fit {preset}, which reduces images by {reduction}: choose a multiple of "
                f"{reduction}"
            )


def _assemble(preset: str, class_count: int, size: tuple[int | None, int | None], units: Units) -> keras.Model:
    check_side(preset, *(extent for extent in size if extent is not None))
    if class_count < 2:
        raise ArchitectureError(f"a classifier needs at least 2 classes, got {class_count}")
    image = keras.Input((*size, 3), name="image")
    return keras.Model(image, PRESETS[preset].topology(units, image, class_count), name=preset)
