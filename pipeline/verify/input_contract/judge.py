"""Which images can judge how a model is fed: photos with labels, else pixels, else a hint on stderr."""

import sys
from pathlib import Path

from pipeline.data.dataset import Dataset
from pipeline.data.folder import Photos
from pipeline.data.photo_settings import Reading, spec_beside
from pipeline.documents.history import read_history
from pipeline.export.load.deployable import Deployable
from pipeline.verify.input_contract import Finding, judge_arrays, judge_photos
from pipeline.verify.input_contract.certainty import hint


def judge(
    model_path: Path, deployable: Deployable, reading: Reading, photos: Photos | None, images: Dataset
) -> Finding | None:
    """What labeled images say of the way in which a model is fed.

    ``None`` of a model whose history says how its training fed it, and of images without labels, for which a hint may
    go to stderr.

    Args:
        model_path: its file, beside which its history lies.
        deployable: the model as it is going to be fed.
        reading: how photos are read, as far as it is said.
        photos: in class folders or with a table of labels, which can be read in other ways.
        images: what there is otherwise: pixels.
    """
    history = read_history(model_path)
    if history is not None and history.says_how_fed:
        return None
    spec = spec_beside(model_path, deployable.side, deployable.class_names, deployable.width, **reading)
    if not images.labeled and images.marks is None:
        if not deployable.multi_label and (said := hint(deployable, images, spec)):
            print(said, file=sys.stderr)
        return None
    if photos is None:
        fits = images.size == deployable.size and images.class_names == deployable.class_names
        return judge_arrays(deployable, images, spec) if fits else None
    return judge_photos(deployable, photos.folder, spec)
