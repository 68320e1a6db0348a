"""How well a model file tells photos of its classes from photos of anything else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset, in_batches
from pipeline.errors import DataError
from pipeline.metrics.classification import auroc
from pipeline.metrics.significance import wilson
from runtime.engines.load import load_model
from runtime.errors import ImageError
from runtime.image.load import load_square
from runtime.photo_files import list_photos
from runtime.spec import ModelSpec

BATCH = 256
PAINTED = 200
"""How many pictures of each built-in kind."""


@dataclass(frozen=True)
class Strangers:
    """What a file makes of pictures that show none of its classes.

    Attributes:
        kind: what they show.
        pictures: how many there are.
        mistaken: how many are taken for known.
        auroc: area under the ROC curve of the score, against photos of the classes: 0.5 is chance, 1 never errs.
    """

    kind: str
    pictures: int
    mistaken: int
    auroc: float


@dataclass(frozen=True)
class Familiarity:
    """One file: how many photos of its classes it knows, and what it makes of strangers."""

    photos: int
    known: int
    strangers: tuple[Strangers, ...]


def judge(model: Path, photos: Dataset, elsewhere: Path | None = None) -> Familiarity | None:
    """Judge a file on labeled photos of its classes and on strangers; ``None`` where it tells no familiarity.

    Args:
        model: a model file.
        photos: of its classes, which trained nothing and chose nothing.
        elsewhere: a folder of photos that show none of them; built-in painted pictures are judged in any case.

    Raises:
        DataError: no photo in that folder can be read.
    """
    _, spec, _, scored = load_model(model, 1, None)
    if scored is None or spec.known_threshold is None:
        return None

    def scores(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([scored(np.ascontiguousarray(batch))[1] for batch in in_batches(pixels, BATCH)])

    familiar, threshold = scores(photos.pixels), spec.known_threshold
    strangers = []
    for kind, pixels in [*([(elsewhere.name, _read(elsewhere, spec))] if elsewhere else []), *_painted(spec)]:
        strange = scores(pixels)
        strangers.append(Strangers(kind, len(strange), int((strange >= threshold).sum()), auroc(familiar, strange)))
    return Familiarity(len(familiar), int((familiar >= threshold).sum()), tuple(strangers))


def format_familiarity(judged: dict[str, Familiarity]) -> str:
    """A table of files by name."""
    lines = ["file             pictures            of them known  95 %             AUROC"]
    for name, one in judged.items():
        rows: Sequence[tuple[str, int, int, float | None]] = [
            ("its classes", one.photos, one.known, None),
            *((each.kind, each.pictures, each.mistaken, each.auroc) for each in one.strangers),
        ]
        for kind, pictures, known, area in rows:
            low, high = wilson(known, pictures)
            row = f"{name:<16} {kind[:13]:<13} {pictures:5,} {known / pictures:14.1%}  {low:6.1%} to {high:6.1%}"
            lines.append(row if area is None else f"{row}  {area:.3f}")
    return "\n".join(lines)


def _read(folder: Path, spec: ModelSpec) -> NDArray[np.uint8]:
    squares = []
    for photo in list_photos(folder).photos if folder.is_dir() else []:
        try:
            squares.append(load_square(photo.path, spec))
        except ImageError:
            continue
    if not squares:
        raise DataError(
            f"{folder}: no photo that can be read; expected a folder of photos that show none of the classes"
        )
    return np.stack(squares)


def _painted(spec: ModelSpec) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Pictures that no camera with its cap off takes: one color, and noise."""
    noise, shape = np.random.default_rng(0), spec.shape
    colors = noise.integers(0, 256, (PAINTED, 1, 1, 3), np.uint8)
    yield "one color", np.ascontiguousarray(np.broadcast_to(colors, (PAINTED, *shape)))
    yield "noise", noise.integers(0, 256, (PAINTED, *shape), np.uint8)
