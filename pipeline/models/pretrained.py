"""Networks pretrained on ImageNet, by name."""

import socket
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from pipeline.errors import ArchitectureError, WeightsError
from pipeline.models.efficientnet_lite import efficientnet_lite0

SIDES = range(96, 321, 32)
DEFAULT = "efficientnet-lite0"


@dataclass(frozen=True)
class _Application:
    """A network of ``keras.applications``; ``rescaled`` adds a Rescaling layer if it does not scale pixels itself."""

    function: str
    options: dict[str, Any]
    rescaled: bool = False


def _mobilenetv2(alpha: float) -> _Application:
    return _Application("MobileNetV2", {"alpha": alpha}, rescaled=True)


APPLICATIONS = {
    **{f"mobilenetv2-{alpha}": _mobilenetv2(alpha) for alpha in (0.35, 0.5, 0.75, 1.0)},
    "mobilenetv2": _mobilenetv2(1.0),
    "mobilenetv3small": _Application("MobileNetV3Small", {}),
    "efficientnetv2b0": _Application("EfficientNetV2B0", {}),
}
PRETRAINED = (DEFAULT, *APPLICATIONS)
"""Names that ``pretrained`` takes."""


def check_pretrained_side(name: str, side: int) -> None:
    """Refuse a side that a pretrained network cannot have.

    Raises:
        ArchitectureError: the side is below 96, above 320, or not a multiple of 32.
    """
    if side not in SIDES:
        raise ArchitectureError(
            f"{name} takes sides of {SIDES[0]} to {SIDES[-1]} pixels in steps of {SIDES.step}, got {side}; 224 is usual"
        )


def pretrained(name: str, side: int = 224, weights: Path | None = None) -> keras.Model:
    """Build a pretrained network that takes float32 pixels 0-255 (N, S, S, 3).

    Its output is probabilities of ImageNet's classes (efficientnet-lite0), or pooled features (all others).

    Args:
        name: one of ``PRETRAINED``.
        side: height and width in pixels.
        weights: a file of weights; ``None`` takes the installed package, or lets Keras download them.

    Raises:
        ArchitectureError: the network does not exist, or cannot have this side.
        WeightsError: the weights are missing, or are those of another network.
    """
    if name not in PRETRAINED:
        raise ArchitectureError(f"no pretrained network {name!r}: choose one of {', '.join(PRETRAINED)}")
    check_pretrained_side(name, side)
    if name == DEFAULT:
        return efficientnet_lite0(side, weights)
    application = APPLICATIONS[name]
    model = _build(application, side, None)
    if weights is None:
        model.set_weights(_downloaded(name, application, model))
    else:
        _load(name, model, weights)
    return model


def _build(application: _Application, side: int, weights: str | None) -> keras.Model:
    image = keras.Input((side, side, 3), name="image")
    tensor = keras.layers.Rescaling(1 / 127.5, -1, name="scaling")(image) if application.rescaled else image
    function: Callable[..., keras.Model] = getattr(keras.applications, application.function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that no input shape was given, but the tensor has one
        return function(include_top=False, weights=weights, input_tensor=tensor, pooling="avg", **application.options)


def _downloaded(name: str, application: _Application, model: keras.Model) -> list[Any]:
    """Return the weights from Keras's cache; before Keras may download them into it, say so on stderr."""
    size = sum(weight.numpy().nbytes for weight in model.weights) / 1e6
    print(
        f"{name}: Keras takes the weights from ~/.keras, or downloads about {size:.0f} MB from storage.googleapis.com",
        file=sys.stderr,
    )
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # otherwise a machine without a network may wait for minutes
    try:
        weights: list[Any] = _build(application, 224, "imagenet").get_weights()
    except Exception as error:  # Keras raises plain Exception if a download fails
        reason = str(error).strip().splitlines()[-1][:200]
        raise WeightsError(
            f"{name}: its weights could not be downloaded ({reason}); fetch them on a machine with a network and give "
            f"the file with --weights FILE, or take {DEFAULT}, whose weights are a Python package"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return weights


def _load(name: str, model: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; expected the weights of {name} without its last layer (…_no_top.h5)")
    try:
        model.load_weights(path)
    except Exception as error:  # Keras raises whatever its parsers raise
        reason = str(error).strip().splitlines()[0][:200]
        raise WeightsError(
            f"{path}: not the weights of {name} ({reason}); expected those without its last layer (…_no_top.h5)"
        ) from error
