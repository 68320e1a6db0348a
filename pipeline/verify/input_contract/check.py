"""Check a model's preprocessing with the images that are there: labeled photos, labeled pixels, or a hint without."""

import sys
from pathlib import Path

from pipeline.data.dataset import Dataset
from pipeline.data.folder import Photos
from pipeline.data.photo_settings import Reading, spec_beside
from pipeline.documents.history import read_history
from pipeline.export.load.deployable import Deployable
from pipeline.verify.input_contract import Finding, check_arrays, check_photos
from pipeline.verify.input_contract.certainty import hint


def check_input_contract(
    model_path: Path, deployable: Deployable, reading: Reading, photos: Photos | None, images: Dataset
) -> Finding | None:
    """Check a model's preprocessing with labeled images.

    Returns ``None`` if the model's history states its preprocessing, if the images have another size or other classes
    than the model, or if they have no labels; without labels, a hint may go to stderr.

    Args:
        model_path: the Keras file, beside which its history lies.
        deployable: the model with its scaling.
        reading: the stated part of how photos are read.
        photos: labeled photos, which can be read with other settings; ``None`` if there are only pixels.
        images: the pixels to judge with if ``photos`` is ``None``.
    """
    history = read_history(model_path)
    if history is not None and history.records_preprocessing:
        return None
    spec = spec_beside(model_path, deployable.side, deployable.class_names, deployable.width, **reading)
    if not images.labeled and images.multi_hot is None:
        if not deployable.multi_label and (said := hint(deployable, images, spec)):
            print(said, file=sys.stderr)
        return None
    if photos is None:
        fits = images.size == deployable.size and images.class_names == deployable.class_names
        return check_arrays(deployable, images, spec) if fits else None
    return check_photos(deployable, photos.folder, spec)
