"""Divide photos into training, validation and test, class by class; photos that look alike stay together.

Neither the side of the model's images nor its resize policy changes the division: a teacher and its student, which take
other sides, hold out the same photos.
"""

import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from pipeline.data.folds import Chains, look_alike
from pipeline.data.photo_cache import decode
from pipeline.data.photo_settings import BY_PICTURE, Settings
from pipeline.data.rows import rows_of
from pipeline.data.scan import TRAINING, PhotoFile
from runtime.spec import ModelSpec
from runtime.text import for_terminal

MIN_PICTURES = 5
"""The fewest different pictures of a class: each part of a divided folder gets one, and training more."""
COMPARED_SIDE = 32
"""Side of the squares by which photos are compared, in pixels."""
UNNAMED = ("a", "b")
"""Class names for these squares, which need none."""

Unit = list[PhotoFile]
"""Photos that stay together."""
Parts = dict[str, list[PhotoFile]]


def draw(
    root: Path,
    files: Sequence[PhotoFile],
    pictures: Mapping[str, str],
    held_out: Mapping[str, float],
    settings: Settings,
) -> Parts:
    """Divide photos into ``train`` and the parts of ``held_out``.

    Units are drawn in the order of a keyed hash, so that new photos hardly move old ones. One that is larger than a
    part stays in training where smaller ones fill half of the part. A class whose photos nearly all look alike is
    divided by picture, which stderr says.

    Args:
        root: the folder.
        files: that are divided.
        pictures: digest of the pixels of each path: equal ones are one picture.
        held_out: share (0-1) of each class by part.
        settings: rule and seed.
    """
    by_picture = settings.division == BY_PICTURE
    keys, groups = (pictures, pictures) if by_picture else _compared(root, files)
    units = _joined(files, [pictures, groups])
    classes: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        # The most frequent class; the files are in the order of their paths, so that ties have one answer.
        classes[Counter(file.class_name for file in unit).most_common(1)[0][0]].append(unit)

    def order(unit: Unit) -> bytes:
        return min(hashlib.blake2b(keys[file.path].encode(), salt=_salt(settings.seed)).digest() for file in unit)

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
    """The units of one class by part; with ``whole`` the next one is taken, however large it is."""
    pending, total = list(pending), sum(map(len, pending))
    found: Parts = {}
    for done, (part, share) in enumerate(held_out.items()):
        kept_back = len(held_out) - done  # one unit for training and each part to come
        drawn = _filled(pending, len(pending) - kept_back, _wanted(share, total), whole=whole)
        pending = _without(pending, drawn)
        found[part] = [file for unit in drawn for file in unit]
    found[TRAINING] = [file for unit in pending for file in unit]
    return found


def _filled(pending: list[Unit], most: int, wanted: int, *, whole: bool) -> list[Unit]:
    """Units with about ``wanted`` photos together, and at most ``most`` of them."""
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
    """Whether every part got half of what was asked for, and training as much as one of them."""
    total = sum(map(len, found.values()))
    most = max(_wanted(share, total) for share in held_out.values())
    return len(found[TRAINING]) >= most and all(
        2 * len(found[part]) >= _wanted(share, total) for part, share in held_out.items()
    )


def _picture_count(units: list[Unit], pictures: Mapping[str, str]) -> int:
    return len({pictures[file.path] for unit in units for file in unit})


def _joined(files: Sequence[PhotoFile], marks: Sequence[Mapping[str, str] | Mapping[str, int]]) -> list[Unit]:
    """Photos in one unit where a chain of equal marks connects them."""
    chains = Chains(len(files))
    for mark in marks:
        first: dict[object, int] = {}
        for at, file in enumerate(files):
            chains.join(first.setdefault(mark[file.path], at), at)
    units: dict[int, Unit] = defaultdict(list)
    for at, file in enumerate(files):
        units[chains.root(at)].append(file)
    return list(units.values())


@cache
def _say_alike(root: Path, class_name: str) -> None:
    named = f" of {for_terminal(class_name)}" if class_name else ""
    print(
        f"{root}: nearly all photos{named} look alike, and some that do are trained on and "
        "others held out, which makes accuracy look better than it is; take photos at other places and times",
        file=sys.stderr,
    )


def _compared(root: Path, files: Sequence[PhotoFile]) -> tuple[dict[str, str], dict[str, int]]:
    """Digest of the small square of each path, and the group of each; see ``look_alike``."""
    decoded = decode(root, files, ModelSpec(COMPARED_SIDE, UNNAMED))
    groups = look_alike(rows_of(decoded.squares, [decoded.rows[file.path][0] for file in files]))
    return (
        {file.path: decoded.rows[file.path][1] for file in files},
        {file.path: int(group) for file, group in zip(files, groups, strict=True)},
    )


def _salt(seed: int) -> bytes:
    return (seed % 2**64).to_bytes(8, "little")
