"""Load a folder of photos, with a folder for each class, optionally inside ``train/``, ``val/`` and ``test/``.

Photos that are the same picture to the network (equal pixels after preprocessing, such as copies and files that differ
only in their metadata) are never in two parts.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.class_names import class_folders
from pipeline.data.dataset import Dataset, joined, without_labels
from pipeline.data.division import MIN_PICTURES, draw
from pipeline.data.photo_cache import BROKEN, Decoded, decode
from pipeline.data.photo_settings import Settings
from pipeline.data.rows import copy_of, rows_of
from pipeline.data.scan import NO_CLASS, TEST, TRAINING, VALIDATION, Listing, PhotoFile, scan
from pipeline.errors import ClassesError, UnusablePhotosError
from runtime.photo_files import HEIC, HIDDEN, LINKED, OTHER, UNREADABLE, SkippedEntry, counted
from runtime.text import first_of, for_terminal, plural

IN_TWO_CLASSES, COPIED = "in two classes", "copied from another part"
"""Further reasons to leave photos out: their class is ambiguous, or another part has the same picture."""
BAD = frozenset({UNREADABLE, HEIC, BROKEN, NO_CLASS, IN_TWO_CLASSES})
"""Reasons that are an error unless ``skip_bad`` is set."""
UNLISTED = frozenset({HEIC, HIDDEN, LINKED, OTHER})
"""Reasons for which files are only counted, not listed."""
LISTED = 10


@dataclass(frozen=True)
class Photos:
    """The photos of a folder, divided into parts that share no picture.

    Attributes:
        training, validation: always there.
        test: ``None`` unless the folder has a test part or a share was asked for. A folder that has only a test part
            can judge a model: all three are then the same images, as they are after ``all_for_test``.
        skipped: files of the folder that are in no part, with the reasons.
        hint: a suggestion of another folder that the user may have meant; usually empty.
        folder: that was read.
    """

    training: Dataset
    validation: Dataset
    test: Dataset | None
    skipped: tuple[SkippedEntry, ...]
    hint: str
    folder: Path

    @property
    def is_test_only(self) -> bool:
        """Whether all photos are for test, so that nothing may be learned or chosen from them."""
        return self.training is self.test

    def all_for_test(self) -> "Photos":
        """Return the same photos undivided, to judge a model that has seen none of them."""
        every = joined(self.training, self.validation)
        return replace(self, training=every, validation=every, test=every)

    def require_training_photos(self) -> None:
        """Refuse a folder that has only a test part.

        Raises:
            ClassesError: it has.
        """
        if self.is_test_only:
            raise ClassesError(
                f"{self.folder}: has only test/, which judges a model and must not choose anything; add train/ with "
                "other photos, or judge an exported folder with verify"
            )


def load(folder: Path, settings: Settings = Settings(), known: tuple[str, ...] | None = None) -> Photos:
    """Read, check and divide a folder of photos; decoded photos are cached.

    Args:
        folder: to read.
        settings: how photos are read and divided.
        known: class names of a model that is only judged on the photos. They give the labels; a class may have one
            photo or none. The folders of a name that occurs twice are named as in ``class_folders``.

    Raises:
        ClassesError: there are too few classes, too few pictures in one, or classes that the model lacks.
        UnusablePhotosError: photos cannot be read, or one picture is in two classes; not with ``skip_bad``.
        DataError: the folder does not exist.
    """
    listing = scan(folder, Path(settings.none) if settings.none else None, known)
    decoded = decode(folder, listing.files, settings.spec(listing.class_names))
    files = [file for file in listing.files if file.path in decoded.rows]
    contradictions = _contradictions(files, decoded)
    skipped = (*listing.skipped, *decoded.skipped, *contradictions)
    if not settings.skip_bad:
        refuse_unusable(folder, skipped, len(files) - len(contradictions))
    unusable = {left.path for left in contradictions}
    files = [file for file in files if file.path not in unusable]
    if known is None:
        _check_pictures(folder, files, listing, decoded)
    parts, copies = divide(folder, files, listing.parts, decoded, settings)
    if set(parts) != {TEST}:
        _check_parts(folder, parts, listing.class_names if known is None else ())
    labels = class_folders(known or listing.class_names)

    def dataset(part: str) -> Dataset:
        images = images_of(parts[part], decoded, known or listing.class_names, training=part == TRAINING)
        shown = {file.path: labels[file.class_name] for file in parts[part]}
        return replace(images, labels=np.array([shown[path] for path in images.paths], np.int64), labeled=True)

    return photos_of(parts, dataset, (*skipped, *copies), folder, listing.hint)


def photos_of(
    parts: Collection[str],
    dataset: Callable[[str], Dataset],
    skipped: tuple[SkippedEntry, ...],
    folder: Path,
    hint: str = "",
) -> Photos:
    """Build the photos of a divided folder from the data set of each part."""
    test = dataset(TEST) if TEST in parts else None
    if test is not None and set(parts) == {TEST}:
        return Photos(test, test, test, skipped, hint, folder)
    return Photos(dataset(TRAINING), dataset(VALIDATION), test, skipped, hint, folder)


def refuse_unusable(folder: Path, skipped: Iterable[SkippedEntry], usable: int) -> None:
    """Refuse a folder with photos that were left out for a reason in ``BAD``; ``usable`` is the number of other photos.

    Raises:
        UnusablePhotosError: photos cannot be read, or one picture is in two classes.
    """
    bad = [left for left in skipped if left.kind in BAD]
    if bad:
        raise UnusablePhotosError(
            f"{folder}: {len(bad)} of {plural(usable + len(bad), 'photo')} cannot be used:\n{format_skipped(bad)}\n"
            "Repair or remove them, or leave them out with --skip-bad."
        )


def format_skipped(skipped: Iterable[SkippedEntry]) -> str:
    """Format one line for each file, at most ``LISTED``, and one line for all HEIC files, which share a remedy."""
    skipped = list(skipped)
    single = [left for left in skipped if left.kind not in UNLISTED]
    heic = counted(left for left in skipped if left.kind == HEIC)
    lines = [str(left) for left in single[:LISTED]]
    lines += [f"… and {len(single) - LISTED} more"] * (len(single) > LISTED) + [heic] * bool(heic)
    return "\n".join(f"  {line}" for line in lines)


def class_weights(labels: NDArray[np.integer], class_count: int) -> dict[int, float]:
    """Return label -> weight such that all classes have the same total weight, mean 1 (King and Zeng, 2001)."""
    counts = np.bincount(labels, minlength=class_count)
    return {label: len(labels) / (class_count * int(count)) for label, count in enumerate(counts) if count}


def _contradictions(files: Iterable[PhotoFile], decoded: Decoded) -> list[SkippedEntry]:
    """List all files whose picture is in more than one class, so that its class is ambiguous."""
    first: dict[bytes, PhotoFile] = {}
    rivals: dict[bytes, PhotoFile] = {}
    files = list(files)
    for file in files:
        digest = decoded.digest(file.path)
        if first.setdefault(digest, file).class_name != file.class_name:
            rivals.setdefault(digest, file)
    contradicting = []
    for file in files:
        digest = decoded.digest(file.path)
        if digest in rivals:
            other = rivals[digest] if file.class_name == first[digest].class_name else first[digest]
            why = f"the same picture as {for_terminal(other.path)}, of another class"
            contradicting.append(SkippedEntry(file.path, IN_TWO_CLASSES, why))
    return contradicting


def _check_pictures(folder: Path, files: Iterable[PhotoFile], listing: Listing, decoded: Decoded) -> None:
    pictures = {(file.class_name, decoded.digest(file.path)) for file in files}
    counts = Counter(name for name, _ in pictures)
    few = [f"{name} has {counts[name]}" for name in listing.class_names if counts[name] < MIN_PICTURES]
    if few:
        raise ClassesError(
            f"{folder}: every class needs at least {MIN_PICTURES} different pictures; {first_of(few)}. "
            "Add photos, or take the class's folder out."
        )


def divide(
    folder: Path, files: Sequence[PhotoFile], given: tuple[str, ...], decoded: Decoded, settings: Settings
) -> tuple[dict[str, list[PhotoFile]], list[SkippedEntry]]:
    """Return the files of each part, and the copies that were left out because another part has the same picture."""
    if VALIDATION in given or set(given) == {TEST}:
        return _apart(files, decoded)
    held_out = {VALIDATION: settings.validation_share}
    if settings.test_share and TEST not in given:
        held_out[TEST] = settings.test_share
    parts, copies = _apart(files, decoded)
    divisible = parts.pop("", None) or parts.pop(TRAINING, [])
    return {**parts, **draw(folder, divisible, decoded.digest, held_out, settings)}, copies


def _apart(files: Iterable[PhotoFile], decoded: Decoded) -> tuple[dict[str, list[PhotoFile]], list[SkippedEntry]]:
    """Return the folder's own parts without pictures that another part has, and the copies that were left out.

    Test keeps all of its pictures, validation all but those in test, training the others.
    """
    order = (TEST, VALIDATION, TRAINING, "")
    parts: dict[str, list[PhotoFile]] = defaultdict(list)
    holders: dict[bytes, PhotoFile] = {}
    copies = []
    for file in sorted(files, key=lambda file: (order.index(file.part), file.path)):
        holder = holders.setdefault(decoded.digest(file.path), file)
        if holder.part == file.part:
            parts[file.part].append(file)
        else:
            copies.append(SkippedEntry(file.path, COPIED, f"the same picture as {for_terminal(holder.path)}"))
    return dict(parts), copies


def _check_parts(folder: Path, parts: dict[str, list[PhotoFile]], class_names: tuple[str, ...]) -> None:
    for part in (TRAINING, VALIDATION):
        if not class_names and not parts.get(part):
            raise ClassesError(f"{folder}: no picture for {part}; give two photos or more")
        missing = sorted(set(class_names) - {file.class_name for file in parts.get(part, [])})
        if missing:
            raise ClassesError(
                f"{folder}: no picture for {part} in the class {first_of(missing)}; give every class some in each part"
            )


def images_of(files: Sequence[PhotoFile], decoded: Decoded, class_names: tuple[str, ...], *, training: bool) -> Dataset:
    """Build the data set of one part, in the order of the paths, without labels.

    Pixels of a large training part stay in the memory-mapped cache (``Rows``).
    """
    paths = sorted(file.path for file in files)
    take = rows_of if training else copy_of
    pixels = take(decoded.pixels, [decoded.rows[path] for path in paths])
    return replace(without_labels(pixels, class_names), paths=tuple(paths))
