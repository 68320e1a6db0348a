"""Which squares was a model trained on? Keras's loaders resize without antialiasing unless told otherwise.

A model that sees other squares than in training loses accuracy, and no comparison with Keras on the same squares shows
it. So a model from elsewhere is asked about some photos in both ways.
"""

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.data.class_names import class_folders
from pipeline.data.scan import PhotoFile, scan
from pipeline.export.load.deployable import Deployable
from pipeline.metrics.classification import correct, discordant
from pipeline.metrics.significance import beats_chance, mcnemar
from runtime.errors import ImageError
from runtime.image.load import Pixels, load_square
from runtime.spec import NO_ANTIALIAS, ModelSpec

ASKED = 200
"""The most photos that are looked at twice."""
SIGNIFICANCE = 0.01


def find_resize_mismatch(deployable: Deployable, folder: Path, spec: ModelSpec) -> str | None:
    """A warning where a model names significantly more photos rightly when they are resized the other way.

    Args:
        deployable: the model.
        folder: its photos, a folder a class.
        spec: how they are going to be read.
    """
    other = "bilinear" if spec.resize_filter == NO_ANTIALIAS else NO_ANTIALIAS
    files = list(scan(folder, known=deployable.class_names).files)
    files = files[:: math.ceil(len(files) / ASKED) or 1]
    both = _read(folder, files, (spec, replace(spec, resize_filter=other)))
    seen = [(file, squares) for file, squares in zip(files, both, strict=True) if squares is not None]
    if not seen:
        return None
    places = class_folders(deployable.class_names)
    labels = np.array([places[file.class_name] for file, _ in seen])
    pixels = np.stack([squares for _, squares in seen], axis=1)
    planned, otherwise = (correct(deployable.probabilities(way), labels) for way in pixels)
    gained, lost = discordant(otherwise, planned)
    if gained <= lost or mcnemar(lost, gained) >= SIGNIFICANCE:
        return None
    if not beats_chance(float(otherwise.mean()), len(otherwise), deployable.class_count):
        return None  # then neither way is the right one, and something else is wrong
    return (
        f"warning: of {len(planned)} photos the Keras model names {planned.sum()} rightly when they are resized with "
        f"{spec.resize_filter}, and {otherwise.sum()} with {other}: most likely it was trained on such squares. "
        f"If so, begin again with --filter {other}"
    )


def _read(folder: Path, files: Iterable[PhotoFile], specs: Iterable[ModelSpec]) -> Iterator[list[Pixels] | None]:
    """The squares of each file, one a spec; ``None`` for what is no image."""

    def squares(file: PhotoFile) -> list[Pixels] | None:
        try:
            return [load_square(folder / file.path, spec) for spec in specs]
        except ImageError:
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(squares, files)
