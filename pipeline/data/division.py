"""Divide photos into training, validation and test, class by class; photos that look alike stay together.

The division does not depend on the side of the model's images or on its resize policy, so a teacher and its student,
which have different sides, hold out the same photos.
"""

import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.data.folds import UnionFind, look_alike
from pipeline.data.photo_cache import decode
from pipeline.data.photo_settings import BY_PICTURE, Settings
from pipeline.data.rows import rows_of
from pipeline.data.scan import TRAINING, PhotoFile
from runtime.spec import ModelSpec
from runtime.text import for_terminal

MIN_PICTURES = 5
"""Fewest different pictures of a class that is divided: each held-out part needs one, and training more."""
COMPARED_SIDE = 32
"""Side of the squares by which photos are compared, in pixels."""
UNNAMED = ("a", "b")
"""Placeholder class names for these squares: ``ModelSpec`` needs two."""

Unit = list[PhotoFile]
"""Photos that stay together."""
Parts = dict[str, list[PhotoFile]]
Pictures = Callable[[str], bytes]
"""path -> digest of the photo's pixels."""


def draw(
    root: Path,
    files: Sequence[PhotoFile],
    pictures: Pictures,
    held_out: Mapping[str, float],
    settings: Settings,
) -> Parts:
    """Divide photos into ``train`` and the parts of ``held_out``.

    Units are drawn in the order of a keyed hash, so that adding photos hardly moves others between parts. A unit that
    is larger than a part stays in training if smaller units fill half of the part. A class whose photos nearly all look
    alike is divided by picture instead, and stderr says so.

    Args:
        root: the folder.
        files: the photos to divide.
        pictures: returns the digest of a path's pixels; photos with equal digests are the same picture.
        held_out: part -> share (0-1) of each class.
        settings: rule of division and seed.
    """
    by_picture = settings.division == BY_PICTURE
    keys, groups = (pictures, pictures) if by_picture else _compared(root, files)
    units, salt = _joined(files, [pictures, groups]), _salt(settings.seed)
    classes: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        # The most frequent class; ties are deterministic, because the files are in the order of their paths.
        classes[Counter(file.class_name for file in unit).most_common(1)[0][0]].append(unit)

    def order(unit: Unit) -> bytes:
        return min(hashlib.blake2b(keys(file.path).hex().encode(), salt=salt).digest() for file in unit)

    parts: Parts = {TRAINING: [], **{part: [] for part in held_out}}
    together: list[Unit] = []
    for name in [name for name in classes if _picture_count(classes[name], pictures) < MIN_PICTURES]:
        together += classes.pop(name)  # too few to divide by class
    for members in (*classes.values(), *([together] if together else [])):
        pending = sorted(members, key=order)
        found = _drawn(pending, held_out, whole=by_picture)
        if not by_picture and not _enough(found, held_out):
            _say_alike(root, members[0][0].class_name)
            again = _joined([file for unit in members for file in unit], [pictures])
            found = _drawn(sorted(again, key=order), held_out, whole=True)
        for part, drawn in found.items():
            parts[part] += drawn
    return parts


def _drawn(pending: list[Unit], held_out: Mapping[str, float], *, whole: bool) -> Parts:
    """Draw the units of one class for each part; with ``whole`` the next unit is drawn even if it is too large."""
    pending, total = list(pending), sum(map(len, pending))
    found: Parts = {}
    for done, (part, share) in enumerate(held_out.items()):
        kept_back = len(held_out) - done  # one unit for training and one for each remaining part
        drawn = _filled(pending, len(pending) - kept_back, _wanted(share, total), whole=whole)
        pending = _without(pending, drawn)
        found[part] = [file for unit in drawn for file in unit]
    found[TRAINING] = [file for unit in pending for file in unit]
    return found


def _filled(pending: list[Unit], most: int, wanted: int, *, whole: bool) -> list[Unit]:
    """Draw at most ``most`` units with about ``wanted`` photos together."""
    drawn, count = list[Unit](), 0
    for unit in pending:
        if len(drawn) >= most or count >= wanted:
            break
        if whole or len(unit) <= wanted:
            drawn.append(unit)
            count += len(unit)
    if 2 * count < wanted and len(drawn) < most:
        drawn.append(min(_without(pending, drawn), key=len))
    return drawn


def _without(units: list[Unit], drawn: list[Unit]) -> list[Unit]:
    taken = {id(unit) for unit in drawn}
    return [unit for unit in units if id(unit) not in taken]


def _wanted(share: float, total: int) -> int:
    return max(round(share * total), 1)


def _enough(found: Parts, held_out: Mapping[str, float]) -> bool:
    """Return whether every part got half of its wanted photos, and training as many as the largest part wants."""
    total = sum(map(len, found.values()))
    most = max(_wanted(share, total) for share in held_out.values())
    return len(found[TRAINING]) >= most and all(
        2 * len(found[part]) >= _wanted(share, total) for part, share in held_out.items()
    )


def _picture_count(units: list[Unit], pictures: Pictures) -> int:
    return len({pictures(file.path) for unit in units for file in unit})


def _joined(files: Sequence[PhotoFile], marks: Sequence[Callable[[str], Hashable]]) -> list[Unit]:
    """Group photos into units: photos with an equal mark are in the same unit, also through other photos."""
    groups = UnionFind(len(files))
    for mark in marks:
        first: dict[Hashable, int] = {}
        for at, file in enumerate(files):
            groups.join(first.setdefault(mark(file.path), at), at)
    units: dict[int, Unit] = defaultdict(list)
    for at, file in enumerate(files):
        units[groups.root(at)].append(file)
    return list(units.values())


@cache
def _say_alike(root: Path, class_name: str) -> None:
    named = f" of {for_terminal(class_name)}" if class_name else ""
    print(
        f"{root}: nearly all photos{named} look alike, and some that do are trained on and "
        "others held out, which makes accuracy look better than it is; take photos at other places and times",
        file=sys.stderr,
    )


def _compared(root: Path, files: Sequence[PhotoFile]) -> tuple[Pictures, Callable[[str], int]]:
    """Return two functions of a path: digest of its small square, and number of its group, see ``look_alike``."""
    decoded = decode(root, files, ModelSpec(COMPARED_SIDE, UNNAMED))
    rows = [decoded.rows[file.path] for file in files]
    groups = np.zeros(len(decoded.pixels), np.int64)
    groups[rows] = look_alike(rows_of(decoded.pixels, rows))
    return decoded.digest, lambda path: int(groups[decoded.rows[path]])


def _salt(seed: int) -> bytes:
    return (seed % 2**64).to_bytes(8, "little")
