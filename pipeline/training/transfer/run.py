"""Fit a pretrained network to photos: features of views, cross-validation, and a head fitted to all photos."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.data.dataset import Dataset
from pipeline.data.folder import Photos
from pipeline.data.folds import look_alike, stratified
from pipeline.data.photo_settings import Settings as PhotoSettings
from pipeline.documents.history import History, ImageCounts
from pipeline.documents.out_of_fold import ClassRecall, CurvePoint, OutOfFold, Suspect
from pipeline.documents.verify import MOST_CLASSES
from pipeline.errors import DocumentError
from pipeline.metrics.calibration import softmax
from pipeline.metrics.classification import accuracy, confusion_matrix, correct
from pipeline.metrics.significance import effective_count, grouped_interval
from pipeline.training import lock
from pipeline.training.transfer import head, stages
from pipeline.training.transfer.backbone import Backbone
from pipeline.training.transfer.cross_validation import (
    CrossValidation,
    Views,
    cross_validate,
    expected_gain,
    plain_accuracy,
)
from pipeline.training.transfer.features import features
from pipeline.training.transfer.shortcuts import shortcut_features
from pipeline.training.write import write_model
from runtime.text import say

FOLDS = 5
"""Number of folds for judging single numbers."""
UNLIKELY = 0.2
"""A photo whose label has a lower out-of-fold probability than this is listed as suspect."""
MOST_SUSPECTS = 50


@dataclass(frozen=True)
class FitSettings:
    """Settings for fitting a network.

    Attributes:
        views: number of views of each photo, including the unchanged photo.
        seed: of the folds.
        open_minutes: approximate time for training the last stages; 0: they are not trained.
    """

    views: int
    seed: int = 0
    open_minutes: float = 0.0


def fitted_before(photos: Photos, backbone: Backbone, settings: FitSettings, out: Path) -> History | None:
    """Return the history in ``out`` if ``fit_to_photos`` wrote it for the same photos, backbone and settings."""
    try:
        history = History.read(out)
        kept = artifacts.sha256((out / artifacts.MODEL_KERAS).read_bytes()) == history.model_sha256
    except (DocumentError, OSError):
        return None
    return history if kept and history.origin_sha256 == _origin(photos, backbone, settings) else None


def _origin(photos: Photos, backbone: Backbone, settings: FitSettings) -> str:
    """Return the SHA-256 of everything that the network depends on."""
    sets = (photos.training.digest, photos.validation.digest)
    about = (backbone.digest, asdict(settings), head.PENALTY, head.PRIOR, *sets, photos.training.class_names)
    return artifacts.sha256(repr(about).encode())


def fit_to_photos(
    photos: Photos, backbone: Backbone, settings: FitSettings, out: Path, photo_settings: PhotoSettings | None = None
) -> History:
    """Fit a network's last layer to photos; write ``model.keras`` and ``history.json``.

    The accuracy is out of fold, over the training images; the network that is written is fitted to all of them. The
    validation images are only used for ``validation_accuracy``.

    Raises:
        FolderInUseError: another process trains in ``out``.
    """
    training, origin = photos.training, _origin(photos, backbone, settings)
    with lock.held(out):
        say("computing the features of all photos")
        seen = features(backbone, training.pixels, range(settings.views))
        say("judging each photo by a network that did not learn from it")
        groups = look_alike(training.pixels)
        known = Views(seen, training.labels, groups, len(training.class_names))
        judged, plain = cross_validate(known, settings.seed), plain_accuracy(known, training.pixels, settings.seed)
        tried = _train_last_stages(backbone, training, known, judged, settings) if settings.open_minutes else None
        if tried and tried.stages:
            judged, fitted, validated = tried.judged, tried.stages.last_layer, tried.logits(photos.validation.pixels)
        else:
            fitted = head.fit(seen, training.labels, len(training.class_names))
            validated = fitted.logits(features(backbone, photos.validation.pixels, [0])[0])
        folds = stratified(training.labels, groups, min(FOLDS, len(np.unique(groups))), settings.seed)
        shortcuts = shortcut_features(training, photos.folder, folds)
        history = History(
            settings={
                "model": backbone.name,
                "side": backbone.side,
                **asdict(settings),
                "penalty": head.penalty_for(len(training)),
            },
            class_names=training.class_names,
            images=ImageCounts(training=len(training), validation=len(photos.validation)),
            validation_accuracy=accuracy(validated, photos.validation.labels),
            out_of_fold=out_of_fold(judged, training, groups).model_copy(
                update={"plain_accuracy": plain, "shortcut_features": shortcuts}
            ),
            opened=tried.found if tried else None,
            temperature=judged.temperature,
            photos=asdict(photo_settings) if photo_settings else None,
            data=str(photos.folder),
            origin_sha256=origin,
        )
        return write_model(out, backbone.classifier(fitted.kernel, fitted.bias), history)


def _train_last_stages(
    backbone: Backbone, training: Dataset, known: Views, judged: CrossValidation, settings: FitSettings
) -> stages.StagesResult:
    """Train the last stages and compare, by cross-validation."""
    divided = stages.split_network(backbone)
    plan = stages.planned(divided, len(training), settings.open_minutes, settings.seed)
    cut = features(divided.stem, training.pixels, range(settings.views))
    return stages.train_last_stages(divided, stages.Photos(known, cut), judged, plan)


def out_of_fold(judged: CrossValidation, photos: Dataset, groups: NDArray[np.int64]) -> OutOfFold:
    """Build the history's entry on cross-validation.

    Args:
        judged: the result of cross-validation.
        photos: the N training photos.
        groups: int64 (N,), groups of photos that look alike.
    """
    sizes = np.bincount(groups, minlength=len(photos))
    interval = grouped_interval(judged.accuracy, sizes[sizes > 0])
    return OutOfFold(
        accuracy=judged.accuracy,
        images=len(photos),
        low=interval.low,
        high=interval.high,
        effective=effective_count(sizes[sizes > 0]),
        folds=judged.folds,
        repeats=judged.repeats,
        look_alike=int((sizes[groups] > 1).sum()),
        between_classes=_between_classes(photos, groups),
        confusion=_confusion(judged, photos),
        curve=tuple(CurvePoint(photos_a_class=count, accuracy=share) for count, share in judged.curve),
        gain_of_twice=expected_gain(judged.curve),
        classes=_classes(judged, photos),
        suspects=_suspects(judged, photos),
    )


def _between_classes(photos: Dataset, groups: NDArray[np.int64]) -> tuple[tuple[str, str], ...]:
    """Return, for each group with photos of several classes, its first photo and the first one of another class."""
    pairs = []
    for first in np.flatnonzero(np.bincount(groups) > 1):
        others = np.flatnonzero((groups == first) & (photos.labels != photos.labels[first]))
        if len(others):
            pairs.append((photos.name_of(int(first)), photos.name_of(int(others[0]))))
    return tuple(pairs)


def _confusion(judged: CrossValidation, photos: Dataset) -> tuple[tuple[int, ...], ...]:
    if len(photos.class_names) > MOST_CLASSES:
        return ()
    matrix = confusion_matrix(judged.logits.argmax(axis=1), photos.labels, len(photos.class_names))
    return tuple(map(tuple, matrix.tolist()))


def _classes(judged: CrossValidation, photos: Dataset) -> tuple[ClassRecall, ...]:
    answers, is_correct = judged.logits.argmax(axis=1), correct(judged.logits, photos.labels)
    rows = []
    for label, name in enumerate(photos.class_names):
        own = photos.labels == label
        wrong = np.bincount(answers[own & ~is_correct], minlength=len(photos.class_names))
        mostly = photos.class_names[int(wrong.argmax())] if wrong.any() else None
        rows.append(
            ClassRecall(name=name, photos=int(own.sum()), found=int((own & is_correct).sum()), taken_for=mostly)
        )
    return tuple(sorted(rows, key=lambda row: row.found / row.photos))


def _suspects(judged: CrossValidation, photos: Dataset) -> tuple[Suspect, ...]:
    probabilities = softmax(judged.logits / judged.temperature)
    own = probabilities[np.arange(len(photos)), photos.labels]
    least = np.argsort(own, kind="stable")
    unlikely = [int(at) for at in least if own[at] < UNLIKELY][:MOST_SUSPECTS]
    return tuple(
        Suspect(
            path=photos.name_of(at),
            label=photos.class_names[int(photos.labels[at])],
            probability=float(own[at]),
            taken_for=photos.class_names[int(probabilities[at].argmax())],
        )
        for at in unlikely
    )
