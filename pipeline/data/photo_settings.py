"""Settings for reading and dividing a folder of photos: from options, or from the history beside a model."""

import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypedDict, Unpack

from pipeline.documents.history import path_beside, read_history
from pipeline.errors import DataError, reason
from runtime.spec import ModelSpec

MIN_SIDE, MAX_SIDE = 8, 1024
BY_PICTURE, BY_LIKENESS = 1, 2
"""Rules of division: keep equal pictures in one part, or keep photos that look alike in one part."""


@dataclass(frozen=True)
class Settings:
    """Settings for reading a folder of photos and dividing it into data sets.

    Attributes:
        side: height and width of the images in pixels, 8 to 1,024, a power of two.
        width: width of the images if it is not ``side``, which is then the height.
        any_side: allow sides that are not a power of two; networks still need a multiple of their reduction.
        resize, resize_filter, fill, ignore_orientation: as in ``runtime.spec.ModelSpec``.
        validation_share, test_share: share of each class, 0-1; ignored if the folder has these parts itself.
        seed: of the division.
        skip_bad: leave out photos that cannot be read, and list them, instead of refusing the folder.
        division: the rule of division: ``BY_LIKENESS``, or ``BY_PICTURE`` for models that were trained with it.
        none: absolute path of a folder of photos of the class ``none``; empty if there is no such class.

    Raises:
        DataError: a value is out of its range.
    """

    side: int = 32
    any_side: bool = False
    resize: str = "stretch"
    resize_filter: str = "bilinear"
    fill: tuple[int, int, int] = (255, 255, 255)
    ignore_orientation: bool = False
    validation_share: float = 0.1
    test_share: float = 0.0
    seed: int = 0
    skip_bad: bool = False
    division: int = BY_LIKENESS
    none: str = ""
    width: int | None = None

    def __post_init__(self) -> None:
        for side in self.size:
            if not MIN_SIDE <= side <= MAX_SIDE:
                raise DataError(f"side must lie between {MIN_SIDE} and {MAX_SIDE} pixels, got {side}")
            if side & (side - 1) and not self.any_side:
                raise DataError(f"side {side} is no power of two; choose one, or ask for any side (--any-side)")
        if not (0 < self.validation_share < 1 and 0 <= self.test_share < 1) or self._held_out >= 1:
            raise DataError(
                "validation share must be above 0, test share 0 or more, and something must be left to train on; "
                f"got {self.validation_share} and {self.test_share}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.side, self.width or self.side

    @property
    def _held_out(self) -> float:
        return self.validation_share + self.test_share

    def spec(self, class_names: tuple[str, ...]) -> ModelSpec:
        """Return the preprocessing as a model spec."""
        reading = {name: getattr(self, name) for name in READING}
        return ModelSpec(self.side, class_names, width=self.width, **reading)


def was_recorded(model_path: Path) -> bool:
    """Return whether a model's history states how its photos were read."""
    history = read_history(model_path)
    return history is not None and history.photos is not None


def recorded(model_path: Path) -> Settings:
    """Read the settings from the ``history.json`` beside a model, so that a folder is divided as in its training.

    Raises:
        DataError: the model has no history, or was not trained on a folder of photos.
    """
    path, history = path_beside(model_path), read_history(model_path)
    if history is None or history.photos is None:
        raise DataError(
            f"{path}: does not say how photos were read in training; "
            "expected the history of python -m pipeline train --data"
        )
    try:
        stated = {"division": BY_PICTURE, **history.photos}  # histories without a rule are older than BY_LIKENESS
        return Settings(**{**stated, "fill": tuple(stated["fill"])})
    except (DataError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: photos cannot be used ({reason(error)}); restore the file that training wrote"
        ) from error


class Reading(TypedDict, total=False):
    """The stated part of how photos are read: fields of ``runtime.spec.ModelSpec``.

    A field that is ``None`` or missing is as in training, or has the default of ``Settings`` if no history states it.
    """

    resize: str | None
    resize_filter: str | None
    fill: tuple[int, int, int] | None
    ignore_orientation: bool | None


COLORS: dict[tuple[int, ...], str] = {(0, 0, 0): "black", (255, 255, 255): "white"}
READING = tuple(Reading.__annotations__)


def flag(name: str, value: object) -> str:
    """Format a field of ``READING`` and its value as a command-line flag."""
    if name == "ignore_orientation":
        return "--ignore-orientation" if value else "--no-ignore-orientation"
    said = COLORS.get(value) or ",".join(map(str, value)) if isinstance(value, tuple) else value
    return f"--{'filter' if name == 'resize_filter' else name} {said}"


def settings_for(
    model_path: Path, side: int, *, width: int | None = None, skip_bad: bool | None = None, **asked: Unpack[Reading]
) -> Settings:
    """Return how a model's photos are read: as in its history, except for the values that the caller states.

    A stated value that differs from the history is reported on stderr.

    Args:
        model_path: its Keras file.
        side: height of its images in pixels.
        width: width of its images if they are not square.
        skip_bad: leave out photos that cannot be read; ``None``: as in training.
        asked: see ``Reading``.

    Raises:
        DataError: the history is not valid.
    """
    trained = was_recorded(model_path)
    own = recorded(model_path) if trained else Settings(side=side, any_side=True, width=width)
    given = {name: value for name, value in asked.items() if value is not None}
    said = replace(own, skip_bad=own.skip_bad if skip_bad is None else skip_bad, **given)  # type: ignore[arg-type]
    if trained and (other := [name for name in READING if getattr(said, name) != getattr(own, name)]):
        were, are = (" ".join(flag(name, getattr(one, name)) for name in other) for one in (own, said))
        _warn(f"warning: {model_path} was trained with {were}; photos are read with {are}, as asked")
    return said


@cache
def _warn(text: str) -> None:
    """Print a warning on stderr, once per process."""
    print(text, file=sys.stderr)


def spec_beside(
    model_path: Path, side: int, class_names: tuple[str, ...], width: int | None = None, **asked: Unpack[Reading]
) -> ModelSpec:
    """Return the preprocessing of a model's photos as a model spec; the arguments are those of ``settings_for``.

    Raises:
        DataError: the history is not valid.
    """
    return settings_for(model_path, side, width=width, **asked).spec(class_names)
