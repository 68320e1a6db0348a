"""Compare the accuracy of two model files on the same labeled photos, with McNemar's test."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.scan import TEST, PhotoFile, scan
from pipeline.errors import ClassesError, DataError
from pipeline.metrics.classification import discordant
from pipeline.metrics.significance import Interval, mcnemar, wilson
from runtime.classifier import Classifier
from runtime.errors import ImageError
from runtime.image.load import load_pixels
from runtime.spec import ModelSpec
from runtime.text import first_of, for_terminal, plural

SIGNIFICANT = 0.05
SHIP, KEEP, UNDECIDED = "ship", "keep", "undecided"


@dataclass(frozen=True)
class ModelScore:
    """One model's result on all photos, or on the photos of one class.

    Attributes:
        correct: number of photos that it classifies correctly.
        photos: number of photos, 1 or more.
    """

    correct: int
    photos: int

    @property
    def accuracy(self) -> float:
        """Share of correct answers, 0-1."""
        return self.correct / self.photos

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval of the accuracy."""
        return wilson(self.correct, self.photos)


@dataclass(frozen=True)
class Comparison:
    """The results of two models on the same photos.

    Attributes:
        old, new: each model's result on all photos.
        only_old, only_new: number of photos that only the old, or only the new model classifies correctly.
        p_value: of McNemar's exact two-sided test.
        classes: class name -> results of the old and of the new model on its photos.
        unreadable: paths of photos that could not be read.
        copies: paths that are not counted because another photo has the same pixels.
        disputed: paths that are not counted because a photo of another class has the same pixels.
    """

    old: ModelScore
    new: ModelScore
    only_old: int
    only_new: int
    p_value: float
    classes: dict[str, tuple[ModelScore, ModelScore]]
    unreadable: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    disputed: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``ship`` the new model, ``keep`` the old one, or ``undecided`` if chance may explain the difference."""
        if self.p_value >= SIGNIFICANT:
            return UNDECIDED
        return SHIP if self.only_new > self.only_old else KEEP

    def entries(self) -> dict[str, Any]:
        """Return all fields and the verdict as JSON values; the number of correct answers is called ``right``."""
        names = {"correct": "right"}
        fields = asdict(self, dict_factory=lambda pairs: {names.get(name, name): value for name, value in pairs})
        return {"verdict": self.verdict, **fields}


def compare(old: Path, new: Path, photos: Path) -> Comparison:
    """Compare two model files, each with its own preprocessing, on labeled photos.

    Copies of a photo count once: counted several times, one lucky answer would look like several.

    Args:
        old: the model file in use, or a folder of model files.
        new: the model file that may replace it.
        photos: a folder of photos for each class, which trained neither model; if it has ``test/``, only that is used.

    Raises:
        DataError: no photo can be read, or each lies in the folders of several classes.
        ClassesError: one of the models does not know a class of the photos.
        ModelError: a model file cannot be used.
    """
    listing = scan(photos)
    if listing.parts != ("",) and TEST not in listing.parts:
        raise DataError(f"{photos}: no test/ folder, and its other photos trained a model; add test/")
    files = [file for file in listing.files if file.part in {"", TEST}]
    if not files:
        raise DataError(f"{photos}: no photos; expected a folder of photos for each class")
    with Classifier(old) as classifier:
        files, copies, disputed = _each_once(photos, files, classifier.spec)
    if not files:
        raise DataError(f"{photos}: each photo is in the folders of several classes; keep it only in the right one")
    labels = np.array([file.class_name for file in files])
    results = [_correctness(path, photos, files) for path in (old, new)]
    readable = np.array([correct is not None for correct in results[0]])
    if not readable.any():
        raise DataError(f"{photos}: none of {plural(len(files), 'photo')} can be read")
    old_correct, new_correct = (np.array([bool(correct) for correct in each])[readable] for each in results)
    unreadable = tuple(file.path for file, is_readable in zip(files, readable, strict=True) if not is_readable)
    return replace(
        compare_correct(old_correct, new_correct, labels[readable], unreadable), copies=copies, disputed=disputed
    )


def compare_correct(
    old_correct: NDArray[np.bool_],
    new_correct: NDArray[np.bool_],
    labels: NDArray[np.str_],
    unreadable: Sequence[str] = (),
) -> Comparison:
    """Compare two models by their correct answers.

    Args:
        old_correct: whether the old model classifies each photo correctly, bool (N,).
        new_correct: the same for the new model.
        labels: class name of each photo, (N,).
        unreadable: paths of photos that could not be read, for the report.
    """
    only_old, only_new = discordant(old_correct, new_correct)
    classes = {
        str(name): (_score(old_correct[labels == name]), _score(new_correct[labels == name]))
        for name in np.unique(labels)
    }
    p_value = mcnemar(only_old, only_new)
    return Comparison(_score(old_correct), _score(new_correct), only_old, only_new, p_value, classes, tuple(unreadable))


def format_comparison(found: Comparison, old: Path, new: Path) -> str:
    """Format the comparison for the terminal."""
    name_width = max(map(len, [*found.classes, "all"]))
    lines = [f"old  {for_terminal(str(old))}", f"new  {for_terminal(str(new))}", ""]
    rows = [*found.classes.items(), ("all", (found.old, found.new))]
    lines.append(f"{'class':<{name_width}}  photos     old     new")
    lines += [
        f"{for_terminal(name):<{name_width}}  {old_one.photos:6,}  {old_one.accuracy:6.1%}  {new_one.accuracy:6.1%}"
        for name, (old_one, new_one) in rows
    ]
    lines.append("")
    for word, judged in (("old", found.old), ("new", found.new)):
        low, high = judged.interval
        lines.append(
            f"{word}: {judged.accuracy:.1%} of {plural(judged.photos, 'photo')} (95 %: {low:.1%} to {high:.1%})"
        )
    lines.append(
        f"only old right: {found.only_old:,}, only new right: {found.only_new:,}; McNemar p = {found.p_value:.3g}"
    )
    skipped = {
        "not read": found.unreadable,
        "copies, not counted": found.copies,
        "in several classes, not counted": found.disputed,
    }
    for reason, paths in skipped.items():
        if paths:
            lines.append(f"{reason}: {len(paths):,} ({first_of(paths)})")
    sentences = {
        SHIP: "SHIP: the new model is right more often, and chance does not explain it",
        KEEP: "KEEP: the old model is right more often, and chance does not explain it",
        UNDECIDED: "UNDECIDED: chance may explain the difference; keep the old model, or test on more photos",
    }
    return "\n".join([*lines, sentences[found.verdict]])


def _score(correct: NDArray[np.bool_]) -> ModelScore:
    return ModelScore(int(correct.sum()), len(correct))


def _each_once(
    photos: Path, files: Sequence[PhotoFile], spec: ModelSpec
) -> tuple[list[PhotoFile], tuple[str, ...], tuple[str, ...]]:
    """Divide photos into one of each picture, its copies, and photos whose picture is in several classes.

    Photos show the same picture if preprocessing gives the same pixels.
    """

    def shown(file: PhotoFile) -> str:
        try:
            return hashlib.sha256(load_pixels(photos / file.path, spec).tobytes()).hexdigest()
        except ImageError:
            return file.path

    same: dict[str, list[PhotoFile]] = defaultdict(list)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, key in zip(files, pool.map(shown, files), strict=True):
            same[key].append(file)
    kept, copies, disputed = list[PhotoFile](), list[str](), list[str]()
    for group in same.values():
        if len({file.class_name for file in group}) > 1:
            disputed += [file.path for file in group]
        else:
            kept.append(group[0])
            copies += [file.path for file in group[1:]]
    return kept, tuple(copies), tuple(disputed)


def _correctness(model: Path, photos: Path, files: Sequence[PhotoFile]) -> list[bool | None]:
    """Return whether a model classifies each photo correctly, ``None`` for a photo that cannot be read."""
    with Classifier(model) as classifier:
        unknown = sorted({file.class_name for file in files} - set(classifier.spec.class_names))
        if unknown:
            raise ClassesError(
                f"{photos}: {model} does not know {first_of(unknown)}: compare on photos of classes that both models "
                "know"
            )
        answers = classifier.classify_many((photos / file.path for file in files), top=1, yield_errors=True)
        return [
            None if isinstance(answer, ImageError) else answer.label == file.class_name
            for answer, file in zip(answers, files, strict=True)
        ]
