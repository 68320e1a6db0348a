"""Find the preprocessing with which a model was trained: with it, the model is most accurate on labeled photos.

A comparison of an exported file with Keras cannot show wrong preprocessing, because both get the same input. So some
labeled photos are read with every plausible preprocessing, and the accuracies are compared; ``search`` says how.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pipeline.data import label_table, photo_cache
from pipeline.data.class_names import class_folders
from pipeline.data.dataset import Dataset, with_multi_hot
from pipeline.data.scan import PhotoFile, scan
from pipeline.export.load.deployable import Deployable
from pipeline.verify.input_contract.measure import ByClass, ByLabel, Measure
from pipeline.verify.input_contract.preprocessing import Preprocessing
from pipeline.verify.input_contract.search import CLASSES, Finding, Pixels, Search
from runtime.spec import ModelSpec

__all__ = ["CLASSES", "Finding", "Preprocessing", "check_arrays", "check_photos"]

MAX_IMAGES, MIN_IMAGES = 300, 50
FULL_SIDE = 128
"""Up to this side ``MAX_IMAGES`` are used; larger images take longer, so fewer are used."""


def check_photos(deployable: Deployable, folder: Path, spec: ModelSpec) -> Finding | None:
    """Check the preprocessing with labeled photos; ``None`` if no photo can be read.

    Args:
        deployable: the model with its scaling.
        folder: photos in a folder for each class, or with a table of labels for a multi-label model.
        spec: how the photos are read.
    """
    listed, measured_by = _labeled(deployable, folder)
    files = [listed[place] for place in _evenly(len(listed), spec)]
    decoded = photo_cache.decode(folder, files, spec)
    files = [file for file in files if file.path in decoded.rows]
    if not files:
        return None

    def read(other: ModelSpec) -> Pixels | None:
        again = photo_cache.decode(folder, files, other)
        rows = [again.rows[file.path] for file in files if file.path in again.rows]
        return again.pixels[rows] if len(rows) == len(files) else None

    pixels = decoded.pixels[[decoded.rows[file.path] for file in files]]
    search = Search(deployable, measured_by(files), read)
    return search.run(Preprocessing(deployable.scaling, spec), pixels, readings=True)


def check_arrays(deployable: Deployable, images: Dataset, spec: ModelSpec) -> Finding | None:
    """Check value range, channel order and class order with labeled images that have no files.

    Resize, filter and orientation cannot be checked without files. Returns ``None`` if the images have no labels.
    """
    images = images.take(np.array(_evenly(len(images), spec)))
    if deployable.multi_label:
        images = with_multi_hot(images)
    if images.multi_hot is not None:
        measure: Measure = ByLabel(images.multi_hot)
    elif images.labeled:
        measure = ByClass(images.labels.astype(np.int64), deployable.class_count)
    else:
        return None
    search = Search(deployable, measure, lambda _: images.pixels)
    return search.run(Preprocessing(deployable.scaling, spec), images.pixels, readings=False)


def _labeled(
    deployable: Deployable, folder: Path
) -> tuple[Sequence[PhotoFile], Callable[[Sequence[PhotoFile]], Measure]]:
    """Return the labeled photos of a folder, and a function that builds the measure for some of them."""
    names = deployable.class_names
    if deployable.multi_label and label_table.has_table(folder):
        multi_hot = label_table.read_table(folder / label_table.TABLE, names)
        listed = label_table.photo_files(folder, multi_hot)
        return listed, lambda files: ByLabel(np.stack([multi_hot[file.path] for file in files]))
    places = class_folders(names)

    def measure(files: Sequence[PhotoFile]) -> Measure:
        labels = np.array([places[file.class_name] for file in files])
        if deployable.multi_label:
            return ByLabel(labels[:, np.newaxis] == np.arange(len(names)))
        return ByClass(labels, len(names))

    return scan(folder, known=names).files, measure


def _evenly(count: int, spec: ModelSpec) -> list[int]:
    """Return the indices of the images to use, evenly spaced among ``count``."""
    most = min(max(MAX_IMAGES * FULL_SIDE**2 // (spec.side * (spec.width or spec.side)), MIN_IMAGES), MAX_IMAGES)
    return list(range(0, count, max(math.ceil(count / most), 1)))
