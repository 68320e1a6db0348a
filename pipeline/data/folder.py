"""Own photos: a folder a class, or ``train/`` and ``val/`` (and ``test/``) above them -> data sets of square images.

Whatever way the data is divided, photos that are the same picture to the network (equal squares, so also copies and
files that differ in their metadata alone) stay on one side.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.dataset import Dataset
from pipeline.data.photo_cache import Decoded, decode
from pipeline.data.scan import TEST, TRAINING, VALIDATION, LeftOut, Listing, PhotoFile, printable, scan
from pipeline.documents.history import path_beside, read_history
from pipeline.errors import ClassesError, DataError, UnusablePhotosError, reason
from runtime.spec import ModelSpec

MIN_SIDE, MAX_SIDE = 16, 256
MIN_PICTURES = 5
"""Different pictures that a class needs, so that each part of a divided folder gets one and training more."""

LISTED = 20


@dataclass(frozen=True)
class Settings:
    """How a folder becomes data sets.

    Attributes:
        side: height and width of the squares in pixels, 16 to 256, a power of two.
        any_side: take sides that are no power of two; the network still asks for a multiple of its pooling factor.
        resize, resize_filter, fill: as in ``runtime.spec.ModelSpec``.
        validation_share, test_share: part of each class, 0-1; not asked where the folder is divided by itself.
        seed: of the division.
        skip_bad: leave out files that are no image, and list them, instead of refusing the folder.
    """

    side: int = 32
    any_side: bool = False
    resize: str = "stretch"
    resize_filter: str = "bilinear"
    fill: tuple[int, int, int] = (255, 255, 255)
    validation_share: float = 0.1
    test_share: float = 0.0
    seed: int = 0
    skip_bad: bool = False

    def __post_init__(self) -> None:
        if not MIN_SIDE <= self.side <= MAX_SIDE:
            raise DataError(f"side must lie between {MIN_SIDE} and {MAX_SIDE} pixels, got {self.side}")
        if self.side & (self.side - 1) and not self.any_side:
            raise DataError(f"side {self.side} is no power of two; choose one, or ask for any side (--any-side)")
        if not (0 < self.validation_share < 1 and 0 <= self.test_share < 1) or self._held_out >= 1:
            raise DataError(
                "validation share must be above 0, test share 0 or more, and something must be left to train on; "
                f"got {self.validation_share} and {self.test_share}"
            )

    @property
    def _held_out(self) -> float:
        return self.validation_share + self.test_share

    def spec(self, class_names: tuple[str, ...]) -> ModelSpec:
        """The preprocessing as a model file will carry it."""
        return ModelSpec(self.side, class_names, resize=self.resize, resize_filter=self.resize_filter, fill=self.fill)


@dataclass(frozen=True)
class Photos:
    """A folder, divided.

    Attributes:
        training, validation: never share a picture.
        test: ``None`` unless the folder has one or a share was asked for.
        left_out: files that are in none of them, and why.
    """

    training: Dataset
    validation: Dataset
    test: Dataset | None
    left_out: tuple[LeftOut, ...]


def load(folder: Path, settings: Settings = Settings()) -> Photos:
    """Read, check and divide a folder of photos; the second time out of the cache.

    Raises:
        ClassesError: the folders do not make a classification: too few classes, or too few pictures in one.
        UnusablePhotosError: files that are no image, or one picture in two classes; not with ``skip_bad``.
        DataError: no such folder.
    """
    listing = scan(folder)
    decoded = decode(folder, listing.files, settings.spec(listing.class_names))
    files = [file for file in listing.files if file.path in decoded.rows]
    contradictions = _contradictions(files, decoded)
    bad = (*listing.left_out, *decoded.left_out, *contradictions)
    if bad and not settings.skip_bad:
        raise UnusablePhotosError(
            f"{folder}: {len(bad)} of {len(listing.files) + len(listing.left_out)} files cannot be used:\n"
            f"{format_left_out(bad)}\nMend or remove them, or leave them out with --skip-bad."
        )
    unusable = {left.path for left in contradictions}
    files = [file for file in files if file.path not in unusable]
    _check_pictures(folder, files, listing, decoded)
    parts, copies = _divide(files, listing.parts, decoded, settings)
    _check_parts(folder, parts, listing.class_names)

    def dataset(part: str) -> Dataset:
        return _dataset(parts[part], decoded, listing.class_names)

    test = dataset(TEST) if TEST in parts else None
    return Photos(dataset(TRAINING), dataset(VALIDATION), test, (*bad, *copies))


def format_left_out(left_out: Sequence[LeftOut]) -> str:
    """One line a file, the first of them."""
    lines = [f"  {left}" for left in left_out[:LISTED]]
    return "\n".join([*lines, f"  … and {len(left_out) - LISTED} more"] if len(left_out) > LISTED else lines)


def class_weights(labels: NDArray[np.integer], class_count: int) -> dict[int, float]:
    """Weights that let every class count the same: mean 1 over the images (King and Zeng, 2001)."""
    counts = np.bincount(labels, minlength=class_count)
    return {label: len(labels) / (class_count * int(count)) for label, count in enumerate(counts) if count}


def was_recorded(model_path: Path) -> bool:
    """Whether training left beside a model how its photos were read."""
    history = read_history(model_path)
    return history is not None and history.photos is not None


def recorded(model_path: Path) -> Settings:
    """The settings that training left in the ``history.json`` beside a model, so that a folder is divided the same way.

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
        return Settings(**{**history.photos, "fill": tuple(history.photos["fill"])})
    except (DataError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: photos cannot be used ({reason(error)}); restore the file that training wrote"
        ) from error


def settings_for(
    model_path: Path, side: int, *, skip_bad: bool = False, resize: str | None = None, resize_filter: str | None = None
) -> Settings:
    """How a model's photos are read: as its history says, or, where that names no photos, as the caller does.

    Args:
        model_path: its Keras file.
        side: of its images.
        skip_bad: leave out files that are no image.
        resize: of a model without such a history; ``None`` is stretch.
        resize_filter: the same; ``None`` is bilinear.

    Raises:
        DataError: the history says how photos were read, but the caller says otherwise, or it cannot be understood.
    """
    path = path_beside(model_path)
    if not was_recorded(model_path):
        usual = Settings(side=side, any_side=True, skip_bad=skip_bad)
        return replace(usual, resize=resize or usual.resize, resize_filter=resize_filter or usual.resize_filter)
    own = recorded(model_path)
    for words, trained, asked in (("resize", own.resize, resize), ("filter", own.resize_filter, resize_filter)):
        if asked not in (None, trained):
            raise DataError(f"{path}: the model was trained with {words} {trained}, got {words} {asked}; leave it out")
    return replace(own, skip_bad=skip_bad)


def spec_beside(
    model_path: Path,
    side: int,
    class_names: tuple[str, ...],
    resize: str | None = None,
    resize_filter: str | None = None,
) -> ModelSpec:
    """The preprocessing of a model's photos, as a model file carries it; arguments as of ``settings_for``.

    Raises:
        DataError: as ``settings_for`` does.
    """
    return settings_for(model_path, side, resize=resize, resize_filter=resize_filter).spec(class_names)


def _contradictions(files: Iterable[PhotoFile], decoded: Decoded) -> list[LeftOut]:
    """All files of a picture that lies in more than one class: nobody knows which is right."""
    first: dict[str, PhotoFile] = {}
    rivals: dict[str, PhotoFile] = {}
    files = list(files)
    for file in files:
        digest = decoded.rows[file.path][1]
        if first.setdefault(digest, file).class_name != file.class_name:
            rivals.setdefault(digest, file)
    contradicting = []
    for file in files:
        digest = decoded.rows[file.path][1]
        if digest in rivals:
            other = rivals[digest] if file.class_name == first[digest].class_name else first[digest]
            contradicting.append(LeftOut(file.path, f"the same picture as {printable(other.path)}, of another class"))
    return contradicting


def _check_pictures(folder: Path, files: Iterable[PhotoFile], listing: Listing, decoded: Decoded) -> None:
    pictures = {(file.class_name, decoded.rows[file.path][1]) for file in files}
    counts = Counter(name for name, _ in pictures)
    few = [f"{name} has {counts[name]}" for name in listing.class_names if counts[name] < MIN_PICTURES]
    if few:
        raise ClassesError(
            f"{folder}: every class needs at least {MIN_PICTURES} different pictures; {', '.join(few)}. "
            "Add photos, or take the class's folder out."
        )


def _divide(
    files: Sequence[PhotoFile], given: tuple[str, ...], decoded: Decoded, settings: Settings
) -> tuple[dict[str, list[PhotoFile]], list[LeftOut]]:
    """Files of each part, and the copies that were taken out because another part holds the picture."""
    if VALIDATION in given:
        return _apart(files, decoded)
    held_out = {VALIDATION: settings.validation_share}
    if settings.test_share and TEST not in given:
        held_out[TEST] = settings.test_share
    parts, copies = _apart(files, decoded)
    divisible = parts.pop("", None) or parts.pop(TRAINING, [])
    return {**parts, **_draw(divisible, decoded, held_out, settings.seed)}, copies


def _apart(files: Iterable[PhotoFile], decoded: Decoded) -> tuple[dict[str, list[PhotoFile]], list[LeftOut]]:
    """The parts that the folder gives, less the copies of what test and validation hold: these stay as they are."""
    order = (TEST, VALIDATION, TRAINING, "")
    parts: dict[str, list[PhotoFile]] = defaultdict(list)
    holders: dict[str, PhotoFile] = {}
    copies = []
    for file in sorted(files, key=lambda file: (order.index(file.part), file.path)):
        holder = holders.setdefault(decoded.rows[file.path][1], file)
        if holder.part == file.part:
            parts[file.part].append(file)
        else:
            copies.append(LeftOut(file.path, f"the same picture as {printable(holder.path)}"))
    return dict(parts), copies


def _draw(
    files: Iterable[PhotoFile], decoded: Decoded, held_out: dict[str, float], seed: int
) -> dict[str, list[PhotoFile]]:
    """Divide by class and picture. Pictures are ordered by a keyed hash, so that new photos hardly move old ones."""
    classes: dict[str, dict[str, list[PhotoFile]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        classes[file.class_name][decoded.rows[file.path][1]].append(file)
    parts: dict[str, list[PhotoFile]] = {TRAINING: [], **{part: [] for part in held_out}}
    for pictures in classes.values():
        total = sum(map(len, pictures.values()))
        pending = sorted(pictures, key=lambda digest: hashlib.blake2b(digest.encode(), salt=_salt(seed)).digest())
        for done, (part, share) in enumerate(held_out.items()):
            taken = 0
            # One picture each is kept back for training and for every part still to come.
            while len(pending) > len(held_out) - done and taken < max(round(share * total), 1):
                copies = pictures[pending.pop(0)]
                parts[part] += copies
                taken += len(copies)
        parts[TRAINING] += [file for digest in pending for file in pictures[digest]]
    return parts


def _salt(seed: int) -> bytes:
    return (seed % 2**64).to_bytes(8, "little")


def _check_parts(folder: Path, parts: dict[str, list[PhotoFile]], class_names: tuple[str, ...]) -> None:
    for part in (TRAINING, VALIDATION):
        missing = sorted(set(class_names) - {file.class_name for file in parts.get(part, [])})
        if missing:
            raise ClassesError(
                f"{folder}: no picture for {part} in the class {', '.join(missing)}; give every class some in each part"
            )


def _dataset(files: Sequence[PhotoFile], decoded: Decoded, class_names: tuple[str, ...]) -> Dataset:
    files = sorted(files, key=lambda file: file.path)
    labels = {name: label for label, name in enumerate(class_names)}
    rows = [decoded.rows[file.path][0] for file in files]
    return Dataset(decoded.squares[rows], np.array([labels[file.class_name] for file in files], np.int64), class_names)
