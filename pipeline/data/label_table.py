"""Load photos with several labels each from a folder with ``labels.csv``.

The table has one of two forms, by its header. With ``file,labels`` a row lists the photo's labels with ``;`` between
them, or none. With ``file`` and a column for each label, a row has 0 or 1 in these columns, as labeling tools export
it. Paths are relative to the folder; if all photos lie in ``train/``, ``val/`` and ``test/``, these are the parts.
"""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.data.class_names import class_folders
from pipeline.data.dataset import Dataset
from pipeline.data.folder import Photos, divide, images_of, photos_of, refuse_unusable
from pipeline.data.photo_cache import decode
from pipeline.data.photo_settings import Settings
from pipeline.data.scan import SPLIT_FOLDERS, TEST, TRAINING, VALIDATION, PhotoFile
from pipeline.errors import DataError, reason
from runtime.text import first_of, for_terminal, only_in_case, plural

TABLE = "labels.csv"
FILE_COLUMNS = ("file", "filename", "path", "image")
LABEL_COLUMNS = ("labels", "tags")
SEPARATOR = ";"
NUMBERS = {"1": True, "0": False, "": False}
MAX_BYTES = 64 * 1024 * 1024
SAME_WAY = "write them in the same way"

MultiHot = NDArray[np.bool_]


def has_table(folder: Path) -> bool:
    """Return whether a folder has a table of labels."""
    return (folder / TABLE).is_file()


def is_all(folder: Path, class_names: tuple[str, ...]) -> bool:
    """Return whether a folder has a table and no subfolder with the name of a class."""
    names = class_folders(class_names)
    return has_table(folder) and not any(path.name in names for path in folder.rglob("*/"))


def load(folder: Path, settings: Settings, class_names: tuple[str, ...]) -> Photos:
    """Read, check and divide the photos of a table; photos that look alike are in the same part.

    Args:
        folder: with the table; photos that the table does not list are left out.
        settings: how photos are read and divided.
        class_names: of the multi-label model; the table may have no other labels.

    Raises:
        DataError: the table cannot be read, lists no photos, has other labels, or lists files that do not exist.
        UnusablePhotosError: photos cannot be read; not with ``skip_bad``.
    """
    multi_hot = read_table(folder / TABLE, class_names)
    files = photo_files(folder, multi_hot)
    decoded = decode(folder, files, settings.spec(class_names))
    files = [file for file in files if file.path in decoded.rows]
    if not settings.skip_bad:
        refuse_unusable(folder, decoded.skipped, len(files))
    parts, copies = divide(folder, files, tuple({file.part for file in files}), decoded, settings)
    if set(parts) != {TEST} and not all(parts.get(part) for part in (TRAINING, VALIDATION)):
        raise DataError(
            f"{folder}: {plural(len(files), 'photo')} in {TABLE} can be read; two different ones or more are needed"
        )

    def dataset(part: str) -> Dataset:
        images = images_of(parts[part], decoded, class_names, training=part == TRAINING)
        return replace(images, multi_hot=np.stack([multi_hot[path] for path in images.paths]))

    return photos_of(parts, dataset, (*decoded.skipped, *copies), folder)


def photo_files(folder: Path, paths: Iterable[str]) -> list[PhotoFile]:
    """Return the photos that a table lists, in the order of their paths.

    Raises:
        DataError: a file does not exist.
    """
    given = {path: SPLIT_FOLDERS.get(path.partition("/")[0].lower(), "") for path in sorted(paths)}
    are_divided = all(given.values()) and (TRAINING in given.values() or set(given.values()) == {TEST})
    return [_photo_file(folder, path, part if are_divided else "") for path, part in given.items()]


def read_table(path: Path, class_names: tuple[str, ...]) -> dict[str, MultiHot]:
    """Read a table: path of each photo -> its labels, bool (C,).

    Raises:
        DataError: the table cannot be read, has other labels, or lists a photo twice.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: more than {MAX_BYTES >> 20} MiB; expected a row for each photo")
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in row] for row in csv.reader(file, strict=True) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"{path}: no readable table ({reason(error)}); expected {_expected(class_names)}") from error
    header, rows = lines[0] if lines else [], lines[1:]
    if not header or header[0].lower() not in FILE_COLUMNS or len(header) < 2:
        raise DataError(f"{path}: its columns are {first_of(header) or 'none'}; expected {_expected(class_names)}")
    listed = len(header) == 2 and header[1].lower() in LABEL_COLUMNS and header[1] not in class_names
    places = class_folders(class_names)
    if not listed:
        _check_columns(path, header[1:], class_names)
    found: dict[str, MultiHot] = {}
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(f"{path}: row {number} has {plural(len(row), 'cell')}, the header {len(header)}")
        name = Path(row[0]).as_posix()
        if name in found:
            raise DataError(f"{path}: row {number} names {for_terminal(name)} again; keep one row for each photo")
        shown = _listed(row[1]) if listed else _columns(path, number, dict(zip(header[1:], row[1:], strict=True)))
        unknown = [label for label in shown if label not in places]
        if unknown:
            raise DataError(
                f"{path}: row {number} names no label of the model: {first_of(unknown)}; it has {first_of(class_names)}"
                f"{only_in_case(unknown, places, SAME_WAY)}"
            )
        found[name] = np.isin(np.arange(len(class_names)), [places[label] for label in shown])
    if not found:
        raise DataError(f"{path}: no row below the header; expected one for each photo")
    return found


def _expected(class_names: tuple[str, ...]) -> str:
    columns = ",".join(class_names[:3]) + (",…" if len(class_names) > 3 else "")
    return f"the columns file,labels with {SEPARATOR!r} between labels, or file,{columns} with 0 or 1"


def _check_columns(path: Path, columns: list[str], class_names: tuple[str, ...]) -> None:
    missing, unknown = sorted(set(class_names) - set(columns)), sorted(set(columns) - set(class_names))
    if missing or unknown or len(set(columns)) < len(columns):
        alike = only_in_case(unknown, class_names, SAME_WAY)
        said = [f"no column for {first_of(missing)}"] * bool(missing)
        said += [f"columns that are no label: {first_of(unknown)}"] * bool(unknown)
        raise DataError(f"{path}: {'; '.join(said) or 'a column twice'}; expected {_expected(class_names)}{alike}")


def _listed(cell: str) -> list[str]:
    return [label.strip() for label in cell.split(SEPARATOR) if label.strip()]


def _columns(path: Path, number: int, row: dict[str, str]) -> list[str]:
    strange = [cell for cell in row.values() if cell not in NUMBERS]
    if strange:
        raise DataError(f"{path}: row {number} has {first_of(strange)}; expected 0 or 1 in the columns of labels")
    return [label for label, cell in row.items() if NUMBERS[cell]]


def _photo_file(folder: Path, path: str, part: str) -> PhotoFile:
    place = folder / path
    try:
        status = place.stat()
    except OSError as error:
        why = f"{for_terminal(path)} is not there ({error.strerror}); take its row out"
        raise DataError(f"{folder / TABLE}: {why}") from error
    return PhotoFile(path, part, "", status.st_size, status.st_mtime_ns)
